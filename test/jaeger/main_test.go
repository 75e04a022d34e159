//go:build jaeger

package jaeger

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/warrenmesh/warren/test/internal/product"
)

const buildTime = 10 * time.Minute // on a slow machine with an empty cache

// programs are Warren's commands and the shop's services. TestMain builds them.
var programs product.Programs

func TestMain(m *testing.M) {
	ctx, cancel := context.WithTimeout(context.Background(), buildTime)
	defer cancel()
	var err error
	programs, err = product.Build(ctx, "./examples/shop/checkout", "./examples/shop/billing", "./examples/shop/audit")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:gocritic // nothing is left to clean up
	}
	goleak.VerifyTestMain(m)
}
