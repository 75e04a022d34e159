package main

import (
	"testing"

	"github.com/warrenmesh/warren/cmd/internal/clidoc"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli/clitest"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

func TestTheCommandReferenceIsCurrent(t *testing.T) {
	t.Parallel()
	clidoc.Check(t, "../../docs/cli", *clitest.Update, cli.Root(&cli.App{Terminal: &terminal.Terminal{}}, commands...))
}
