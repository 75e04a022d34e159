// Command withbroker runs a command that needs a real RabbitMQ.
//
//	go run -C test ./withbroker -- go test ./e2e
//
// It uses the broker that AMQP_URL names, or finds or starts one. It sets AMQP_URL for
// the command, and exits with the command's code. Everything that it started has ended
// by then, after a signal too. Without a RabbitMQ it exits with 1 and says what to do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/warrenmesh/warren/internal/localbroker"
)

// grace is how long the command may take to end after a signal, and how long the broker
// may take after the command.
const grace = time.Minute

func main() {
	dir := flag.String("dir", ".run/rabbitmq-test", "where a private node keeps its data")
	flag.Usage = func() { say("usage: withbroker [-dir DIR] -- COMMAND [ARGUMENT...]") }
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	os.Exit(run(*dir, flag.Args()))
}

// run returns the exit code.
func run(dir string, args []string) int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	context.AfterFunc(ctx, cancel) // a second signal ends this process, and the broker with it, at once
	b, err := localbroker.Start(ctx, localbroker.Options{URL: os.Getenv("AMQP_URL"), Dir: dir, Want: localbroker.WantFrom(os.Getenv), Report: say})
	if err != nil {
		say("withbroker: " + err.Error())
		if errors.Is(err, localbroker.ErrNone) {
			say("withbroker: install one (Debian: apt-get install rabbitmq-server) or set AMQP_URL=amqp://user:password@host:5672/")
		}
		return 1
	}
	code := command(ctx, b.URL, args)
	stopping, done := context.WithTimeout(context.Background(), grace)
	defer done()
	if err := b.Stop(stopping); err != nil {
		say("withbroker: stop broker: " + err.Error())
		return 1
	}
	return code
}

// command runs args in a process group of its own. The group gets SIGINT when ctx ends,
// and SIGKILL if it does not end then.
func command(ctx context.Context, url string, args []string) int {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "AMQP_URL="+url)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = grace
	err := cmd.Run()
	if cmd.Process == nil {
		say("withbroker: " + err.Error())
		return 127
	}
	if ctx.Err() != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // processes that ignored the signal
		return 130
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return cmd.ProcessState.ExitCode()
}

func say(line string) { _, _ = fmt.Fprintln(os.Stderr, line) }
