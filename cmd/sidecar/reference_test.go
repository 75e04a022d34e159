package main

import (
	"flag"
	"testing"

	"github.com/warrenmesh/warren/cmd/internal/clidoc"
)

var update = flag.Bool("update", false, "rewrite docs/cli")

func TestTheCommandReferenceIsCurrent(t *testing.T) {
	t.Parallel()
	clidoc.Check(t, "../../docs/cli", *update, newCommand())
}
