// Command warren is the command-line tool for operators and developers: it publishes and
// receives events through a sidecar, asks a control plane for the state of the
// mesh, checks configuration, and runs a whole mesh in one process.
//
// Each group of commands is a package below internal. Data goes to standard output,
// messages to standard error. Exit codes: 0 done, 1 failed, 2 wrong usage or
// configuration.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/config"
	"github.com/warrenmesh/warren/cmd/warren/internal/deadletter"
	"github.com/warrenmesh/warren/cmd/warren/internal/dev"
	"github.com/warrenmesh/warren/cmd/warren/internal/publish"
	"github.com/warrenmesh/warren/cmd/warren/internal/sidecar"
	"github.com/warrenmesh/warren/cmd/warren/internal/status"
	"github.com/warrenmesh/warren/cmd/warren/internal/subscribe"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

// commands are those below the root.
var commands = []cli.Command{
	publish.New, subscribe.New, sidecar.NewTail, deadletter.New, status.New, config.New, sidecar.NewDrain, dev.New,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	term := terminal.New(os.Stdin, os.Stdout, os.Stderr, os.Getenv)
	os.Exit(cli.Run(ctx, term, os.Args[1:], commands...))
}
