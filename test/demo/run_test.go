package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/warrenmesh/warren/internal/localbroker"
	"github.com/warrenmesh/warren/test/demo/shop"
)

// closedPort is a loopback address on which nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func number(t *testing.T, digits []byte) int {
	t.Helper()
	n, err := strconv.Atoi(string(digits))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestWithoutAnyRabbitMQTheDemoRunsOnTheEmbeddedBroker(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs all programs; part of make test")
	}
	t.Parallel()
	root, err := shop.FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	d := newDemo(options{
		orders: 300, rate: 300, stall: 2 * time.Minute,
		flags: []string{"-race", "-buildvcs=false"}, // test/internal/product uses the same flags and directory
		broker: localbroker.Options{
			Address: closedPort(t), Dir: t.TempDir(),
			Skip: []localbroker.Step{localbroker.Installed, localbroker.Install, localbroker.Container},
		},
	}, shop.Files{Root: root, Run: t.TempDir(), Bins: filepath.Join(root, ".run", "test")}, &screen{out: &out})
	err = d.run(t.Context())
	t.Logf("the demo printed:\n%s", &out)
	if err != nil {
		for _, p := range []string{"warren-dev", "checkout", "billing", "audit", "shipping"} {
			if text, err := os.ReadFile(d.files.Log(p)); err == nil {
				t.Logf("%s:\n%s", p, text)
			}
		}
		t.Fatalf("the demo failed: %v", err)
	}
	for _, want := range []string{
		`(?m)^broker: none: no RabbitMQ found`,
		`NOTHING IS DURABLE`,
		`edit 1: .*canary 0 % → 50 %`,
		`orders-canary\.yaml:\d+: spec\.rules\[0\]\.backendRefs\[1\]\.name: .*orders-nxet`,
		`(?m)^place order +checkout +internal`,
		`(?m)^audit\.shop~.* SYNCED`,
	} {
		if !regexp.MustCompile(want).Match(out.Bytes()) {
			t.Errorf("the demo did not print %s", want)
		}
	}
	// Every order has its invoice. Audit receives both, billing receives orders, and
	// shipping receives orders where Node is installed. Slow machines take more than
	// 300 orders.
	last := regexp.MustCompile(`(?m)^demo: (\d+) published, (\d+) confirmed, (\d+) delivered, 0 lost\n\z`).FindSubmatch(out.Bytes())
	if last == nil {
		t.Fatal("the demo's last line is not its books")
	}
	published, delivered := number(t, last[1]), number(t, last[3])
	if published < 600 || number(t, last[2]) != published || delivered != published/2*3 && delivered != published/2*4 {
		t.Errorf("the demo ended with %q", last[0])
	}
}
