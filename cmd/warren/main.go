// Command warren is the command-line tool for operators and developers: it publishes and
// receives events through a sidecar, asks a control plane for the state of the
// mesh, checks configuration, and runs a whole mesh in one process.
//
// One file holds one command. Data goes to standard output, messages to standard
// error. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	term := terminal.New(os.Stdin, os.Stdout, os.Stderr, os.Getenv)
	os.Exit(run(ctx, term, os.Args[1:]))
}
