package main

import (
	"strings"
	"testing"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli/clitest"
)

func TestAWorkloadsNameFindsItsSidecar(t *testing.T) {
	t.Parallel()
	events, admin := &clitest.Sidecar{}, &clitest.Admin{}
	at := &adminv1.Sidecar{
		Id: "checkout.shop~1", Namespace: "shop", Workload: "checkout",
		Listen: []string{clitest.Serve(t, events.Register)}, Admin: clitest.Serve(t, admin.Register),
	}
	state := &adminv1.GetStatusResponse{Sidecars: []*adminv1.Sidecar{
		at, {Id: "billing.shop~1", Namespace: "shop", Workload: "billing"}, {Id: "billing.shop~2", Namespace: "shop", Workload: "billing"},
	}}
	env := map[string]string{"WARREN_CONTROL_PLANE_ADMIN": clitest.Serve(t, (&clitest.ControlPlane{State: state}).Register)}
	call := func(args ...string) clitest.Result { return warren.Call(t, clitest.Invocation{Env: env}, args...) }

	publish := []string{"publish", "orders", "--type", "t", "--source", "/s", "--id", "1"}
	for _, name := range []string{"checkout", "shop/checkout", "checkout.shop~1", "check"} {
		if r := call(append(publish, "--workload", name)...); r.Code != cli.ExitOK {
			t.Errorf("publish --workload %s: %+v", name, r)
		}
	}
	if r := call("drain", "--workload", "checkout"); r.Code != cli.ExitOK || admin.Drained == nil {
		t.Errorf("drain: %+v", r)
	}
	for name, want := range map[string]string{
		"billing":        "billing.shop~2", // it must be said which
		"billing.shop~2": "tells no admin address",
		"nobody":         "no sidecar of nobody",
	} {
		if r := call("drain", "--workload", name); r.Code != cli.ExitFailure || !strings.Contains(r.Err, want) {
			t.Errorf("drain --workload %s: %+v, want %q", name, r, want)
		}
	}
	if r := call("drain", "--workload", "checkout", "--admin", "127.0.0.1:1"); r.Code != cli.ExitUsage {
		t.Errorf("an address and a name: %+v", r)
	}
}
