package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/warrenmesh/warren/internal/localbroker"
	"github.com/warrenmesh/warren/test/demo/shop"
)

func TestAKeptDemoKeepsOrdersFlowing(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs all programs; part of make test-system")
	}
	t.Parallel()
	root, err := shop.FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	d := newDemo(options{
		orders: 30, rate: 300, stall: 2 * time.Minute, keep: true, embedded: true,
		flags:  []string{"-race", "-buildvcs=false"}, // test/internal/product uses the same flags and directory
		broker: localbroker.Options{Dir: t.TempDir()},
	}, shop.Files{Root: root, Run: t.TempDir(), Bins: filepath.Join(root, ".run", "test")}, &screen{out: &out})
	ctx, interrupt := context.WithCancelCause(t.Context())
	defer interrupt(nil)
	done := make(chan error, 1)
	go func() { done <- d.run(ctx) }()

	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for flowing := 0; flowing < 10; {
		select {
		case <-tick.C:
			text, _ := os.ReadFile(d.files.Journal("checkout-kept")) // it is there once orders flow
			flowing = bytes.Count(text, []byte(`"confirmed"`))
		case err := <-done:
			t.Fatalf("the demo ended before it was interrupted: %v\n%s", err, &out)
		}
	}
	interrupt(errInterrupted)
	if err := <-done; err != nil {
		t.Errorf("the demo ended with %v\n%s", err, &out)
	}
}
