package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/warrenmesh/warren/test/internal/product"
)

const buildTime = 10 * time.Minute // on a slow machine with an empty cache

// programs are the binaries under test. TestMain builds them.
var programs product.Programs

func TestMain(m *testing.M) {
	flag.Parse()
	if !testing.Short() {
		ctx, cancel := context.WithTimeout(context.Background(), buildTime)
		defer cancel()
		var err error
		if programs, err = product.Build(ctx, "./test/bench"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1) //nolint:gocritic // nothing is left to clean up
		}
		programs = programs.Others(os.Getenv)
	}
	goleak.VerifyTestMain(m)
}
