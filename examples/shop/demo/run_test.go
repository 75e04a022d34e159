package main

import (
	"bytes"
	"net"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/warrenmesh/warren/internal/localbroker"
)

// closedPort is a loopback address nobody listens on.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func TestWithoutAnyRabbitMQTheDemoRunsOnTheEmbeddedBroker(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs all programs; part of make test")
	}
	t.Parallel()
	root, err := findRoot()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	d := newDemo(options{
		orders: 300, rate: 300, stall: 2 * time.Minute,
		broker: localbroker.Options{
			Address: closedPort(t), Dir: t.TempDir(),
			Skip: []localbroker.Step{localbroker.Installed, localbroker.Install, localbroker.Container},
		},
	}, layout{root: root, run: t.TempDir()}, &screen{out: &out})
	err = d.run(t.Context())
	t.Logf("the demo printed:\n%s", &out)
	if err != nil {
		for _, p := range []string{"warren-dev", "checkout", "billing", "audit", "shipping"} {
			if text, err := os.ReadFile(d.files.log(p)); err == nil {
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
		`(?m)^demo: 600 published, 600 confirmed, (900|1200) delivered, 0 lost\n\z`,
	} {
		if !regexp.MustCompile(want).Match(out.Bytes()) {
			t.Errorf("the demo did not print %s", want)
		}
	}
}
