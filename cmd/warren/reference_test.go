package main

import (
	"testing"

	"github.com/warrenmesh/warren/cmd/internal/clidoc"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

func TestTheCommandReferenceIsCurrent(t *testing.T) {
	t.Parallel()
	clidoc.Check(t, "../../docs/cli", *update, newRoot(&app{Terminal: &terminal.Terminal{}}))
}
