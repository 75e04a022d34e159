package dev

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
)

func TestASecondMeshSaysWhyItDoesNotStart(t *testing.T) {
	t.Parallel()
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for flag, args := range map[string][]string{
		"--admin-listen": {"--admin-listen", taken.Addr().String()},
		"--workload":     {"--admin-listen", "127.0.0.1:0", "--workload", fmt.Sprintf("billing:%d", taken.Addr().(*net.TCPAddr).Port)},
	} {
		args := append([]string{"dev", "--xds-listen", "127.0.0.1:0", "--status-listen", "127.0.0.1:0"}, args...)
		if r := warren.Run(t, args...); r.Code != cli.ExitFailure || !strings.Contains(r.Err, taken.Addr().String()) ||
			!strings.Contains(r.Err, "another warren dev") || !strings.Contains(r.Err, "--port-offset") {
			t.Errorf("%s: %+v", flag, r)
		}
	}
}

func TestAnOffsetMovesEveryPort(t *testing.T) {
	t.Parallel()
	f := &devFlags{}
	cmd := New(&cli.App{})
	if err := cmd.ParseFlags([]string{"--xds-listen", "127.0.0.1:1"}); err != nil {
		t.Fatal(err)
	}
	f.admin, f.xds, f.probes, f.portOffset = "127.0.0.1:17440", "127.0.0.1:1", "127.0.0.1:17431", 1000
	if err := f.shift(cmd.Flags()); err != nil {
		t.Fatal(err)
	}
	if f.admin != "127.0.0.1:18440" || f.xds != "127.0.0.1:1" || f.probes != "127.0.0.1:18431" {
		t.Errorf("%+v", f)
	}
	list, err := plan{}.workloads([]string{"a", "b:17500", "c"}, "shop", firstPort+1000)
	if err != nil {
		t.Fatal(err)
	}
	if list[0].Listen != "127.0.0.1:18400" || list[0].Admin != "127.0.0.1:18410" || list[1].Listen != "127.0.0.1:17500" || list[2].Listen != "127.0.0.1:18600" {
		t.Errorf("%+v", list)
	}
	f.portOffset = 65000
	if err := f.shift(cmd.Flags()); err == nil {
		t.Error("a port above 65535 is taken")
	}
}
