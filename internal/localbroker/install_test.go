package localbroker

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestLongCommandShowsWhyItFailed(t *testing.T) {
	t.Parallel()
	o := Options{}.withDefaults()
	if err := o.runLong(t.Context(), []string{"sh", "-c", "exit 0"}); err != nil {
		t.Errorf("a command that succeeds says %v", err)
	}
	err := o.runLong(t.Context(), []string{"sh", "-c", "echo no such package; exit 100"})
	if err == nil || !strings.Contains(err.Error(), "no such package") || !strings.Contains(err.Error(), "exit status 100") {
		t.Errorf("error is %v, want the command's words and status", err)
	}
}

func TestLongCommandIsAskedToEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	began := filepath.Join(t.TempDir(), "began")
	if err := syscall.Mkfifo(began+".fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	o := Options{}.withDefaults()
	ended := make(chan error, 1)
	go func() {
		ended <- o.runLong(ctx, []string{"sh", "-c", `trap "echo asked; exit 7" INT; : >"$0"; while :; do read -r line <"$0.fifo"; done`, began})
	}()
	await(t, "the command runs", func() bool { _, err := os.Stat(began); return err == nil })
	cancel()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "asked") {
		t.Errorf("error is %v, want that the command was asked to end", err)
	}
}

// docker plays the docker command: "wait" blocks until "kill" or "rm".
const docker = `#!/bin/sh
echo "$*" >>"$0.log"
case $1 in
run | start) mkfifo "$0.$2$$" && mv "$0.$2$$" "$0.running" ;;
wait) read -r line <"$0.running" ;;
kill | rm) : >"$0.running"; rm -f "$0.running" ;;
esac
`

func TestContainerIsStartedAgainAndRemoved(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "docker")
	if err := os.WriteFile(path, []byte(docker), 0o700); err != nil { //nolint:gosec // It is executed.
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(serve(t, rabbit(all)), ":")
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{}.withDefaults()
	c := &container{options: &o, docker: path, name: "warren-test", port: number}
	b, err := launch(t.Context(), &o, localURL(c.address()), "a container", c)
	if err != nil {
		t.Fatalf("start container: %v", err)
	}
	first := c.exited()
	ctx, cancel := context.WithCancel(t.Context())
	supervised := make(chan error, 1)
	go func() { supervised <- b.Supervise(ctx) }()
	if err := b.Kill(t.Context()); err != nil {
		t.Fatalf("kill container: %v", err)
	}
	await(t, "the container is back", func() bool { return c.exited() != first && !isClosed(c.exited()) })
	cancel()
	if err := <-supervised; err != nil {
		t.Errorf("supervise: %v", err)
	}
	if err := b.Stop(t.Context()); err != nil {
		t.Errorf("stop container: %v", err)
	}
	log, err := os.ReadFile(path + ".log")
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{
		"run --detach --name warren-test --hostname warren-test --publish 127.0.0.1:" + port + ":5672 " + image,
		"kill warren-test", "start warren-test", "rm --force --volumes warren-test",
	} {
		if !strings.Contains(string(log), command+"\n") {
			t.Errorf("docker was not called with %q, only with:\n%s", command, log)
		}
	}
}
