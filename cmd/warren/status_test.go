package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/xds"
)

// fakeMesh answers GetStatus with a fixed state.
type fakeMesh struct {
	adminv1.UnimplementedMeshServiceServer
	state *adminv1.GetStatusResponse
	asked string // the namespace
}

func (m *fakeMesh) register(g *grpc.Server) { adminv1.RegisterMeshServiceServer(g, m) }

func (m *fakeMesh) GetStatus(_ context.Context, r *adminv1.GetStatusRequest) (*adminv1.GetStatusResponse, error) {
	m.asked = r.GetNamespace()
	return m.state, nil
}

var loaded = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func conditions(accepted, refs, programmed, reason, message string) []*adminv1.Condition {
	return []*adminv1.Condition{
		{Type: "Accepted", Status: accepted, Reason: "Accepted", LastTransitionTime: timestamppb.New(loaded)},
		{Type: "ResolvedRefs", Status: refs, Reason: "ResolvedRefs", LastTransitionTime: timestamppb.New(loaded)},
		{Type: "Programmed", Status: programmed, Reason: reason, Message: message, LastTransitionTime: timestamppb.New(loaded)},
	}
}

// resource is one of a sidecar's, in its state since two minutes after loaded.
func resource(typeURL, name, state, problem string) *adminv1.SidecarResource {
	r := &adminv1.SidecarResource{
		TypeUrl: typeURL, Name: name, Version: "77aa2200ffee1133", AckedVersion: "77aa2200ffee1133", SentVersion: "77aa2200ffee1133",
		State: state, Error: problem, Since: timestamppb.New(loaded.Add(2 * time.Minute)),
	}
	if state != "ACKED" {
		r.AckedVersion = "11bb44cc55dd66ee"
	}
	return r
}

// troubled is a mesh in which a route is refused by one sidecar, another has not
// answered, and the newest configuration was refused.
func troubled() *adminv1.GetStatusResponse {
	return &adminv1.GetStatusResponse{
		Version: "3f9a1c2b7d5e8f90aabbccdd", LoadedAt: timestamppb.New(loaded), ControlPlaneVersion: "v0.1.0",
		Problems: []*adminv1.Problem{
			{File: "routes.yaml", Line: 14, Field: "spec.rules[0].backendRefs[1].weight", Message: "must be 0 or more, not -5", Object: "EventRoute shop/orders-canary"},
			{File: "topics.yaml", Message: "is empty"},
		},
		Objects: []*adminv1.Object{
			{Kind: "EventRoute", Namespace: "shop", Name: "orders-canary", Acked: 1, Pending: 1, Rejected: 1,
				Conditions: conditions("True", "True", "False", "Rejected", "1 of 3 sidecars refused it"), LastError: `route "shop/orders": regex is not supported`},
			{Kind: "EventTopic", Namespace: "shop", Name: "orders", Acked: 3, Conditions: conditions("True", "True", "True", "Programmed", "")},
			{Kind: "EventBroker", Namespace: "shop", Name: "main", Acked: 3, Conditions: conditions("True", "True", "True", "Programmed", "")},
			{Kind: "EventSubscription", Namespace: "shop", Name: "billing", Conditions: conditions("True", "True", "Unknown", "NoSidecars", "no sidecar is selected")},
		},
		Sidecars: []*adminv1.Sidecar{
			{Id: "checkout.shop~7f3a", Namespace: "shop", Workload: "checkout", State: "SYNCED", Version: "v0.1.0", Peer: "10.0.0.7:41000",
				Labels: map[string]string{"zone": "a", "app": "checkout"}, ConnectedFor: durationpb.New(125 * time.Minute),
				Resources: []*adminv1.SidecarResource{resource(xds.TypeListener, "topic/shop/orders", "ACKED", ""), resource(xds.TypeCluster, "broker/shop/main", "ACKED", "")}},
			{Id: "billing.shop~1c20", Namespace: "shop", Workload: "billing", State: "NACK", Version: "v0.0.9", Peer: "10.0.0.8:41000",
				ConnectedFor: durationpb.New(42 * time.Second),
				Resources: []*adminv1.SidecarResource{
					resource(xds.TypeListener, "topic/shop/orders", "ACKED", ""), resource(xds.TypeRoute, "topic/shop/orders", "NACKED", "regex is not supported"),
					resource(xds.TypeListener, "subscription/shop/billing", "ACKED", ""),
					resource(xds.TypeCluster, "broker/shop/main", "ACKED", ""), resource(xds.TypeEndpoint, "broker/shop/main", "SENT", ""),
				}},
			{Id: "audit.shop~99ab", Namespace: "shop", Workload: "audit", State: "STALE", Version: "v0.1.0", Peer: "10.0.0.9:41000",
				ConnectedFor: durationpb.New(50 * time.Hour), Resources: []*adminv1.SidecarResource{resource(xds.TypeListener, "topic/shop/orders", "SENT", "")}},
		},
	}
}

func page(t *testing.T, wide bool, state *adminv1.GetStatusResponse) string {
	t.Helper()
	var out bytes.Buffer
	p := &statusPage{wide: wide, now: loaded.Add(7 * time.Minute)}
	if err := p.write(&out, state); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestStatusPages(t *testing.T) {
	t.Parallel()
	table := page(t, false, troubled())
	golden(t, "status-table", table)
	for line := range strings.Lines(table) {
		if len(line) > 81 { // with its line break
			t.Errorf("over 80 columns: %s", line)
		}
	}
	golden(t, "status-wide", page(t, true, troubled()))
	golden(t, "status-empty", page(t, false, &adminv1.GetStatusResponse{}))
}

func TestStatusAsks(t *testing.T) {
	t.Parallel()
	mesh := &fakeMesh{state: troubled()}
	r := invocation{env: map[string]string{"WARREN_CONTROL_PLANE_ADMIN": serve(t, mesh.register)}}.run(t, "status", "-n", "shop")
	if r.code != exitOK || r.err != "" || !strings.Contains(r.out, "orders-canary") || mesh.asked != "shop" {
		t.Errorf("asked for %q: %+v", mesh.asked, r)
	}
}

func TestStatusForScripts(t *testing.T) {
	t.Parallel()
	address := serve(t, (&fakeMesh{state: troubled()}).register)
	r := invocation{}.run(t, "status", "-o", "json", "--control-plane", address)
	var back adminv1.GetStatusResponse
	if err := protojson.Unmarshal([]byte(r.out), &back); err != nil || r.code != exitOK {
		t.Fatalf("exit %d, %v:\n%s", r.code, err, r.out)
	}
	if len(back.GetObjects()) != 4 || back.GetSidecars()[1].GetState() != "NACK" {
		t.Errorf("read back: %v", &back)
	}
	golden(t, "status-json", r.out)
	r = invocation{}.run(t, "status", "-o", "yaml", "--control-plane", address)
	golden(t, "status-yaml", r.out)
}

func TestStatusWithoutAControlPlaneExitsWith1(t *testing.T) {
	t.Parallel()
	args := []string{"status", "--control-plane", nobody(t)}
	golden(t, "status-nobody", transcript(invocation{}.run(t, args...), args...))
}

func TestStatusOfSomethingElseSaysSo(t *testing.T) {
	t.Parallel()
	args := []string{"status", "--control-plane", serve(t, (&fakeSidecar{}).register)}
	golden(t, "status-wrong-peer", transcript(invocation{}.run(t, args...), args...))
}

func TestStatusOfOneSidecarListsItsResources(t *testing.T) {
	t.Parallel()
	for _, wide := range []bool{false, true} {
		var out bytes.Buffer
		p := &statusPage{wide: wide, now: loaded.Add(7 * time.Minute)}
		if err := p.writeSidecars(&out, selectSidecars(troubled().GetSidecars(), "billing")); err != nil {
			t.Fatal(err)
		}
		golden(t, map[bool]string{false: "status-sidecar", true: "status-sidecar-wide"}[wide], out.String())
	}
}

func TestASidecarIsMeantByIDWorkloadOrBeginning(t *testing.T) {
	t.Parallel()
	all := []*adminv1.Sidecar{
		{Id: "billing.shop~1", Namespace: "shop", Workload: "billing"}, {Id: "billing.shop~12", Namespace: "shop", Workload: "billing"},
		{Id: "billing.eu~3", Namespace: "eu", Workload: "billing"},
	}
	for name, want := range map[string]int{
		"billing.shop~1": 1, "billing": 3, "shop/billing": 2, "billing.shop": 2, "bill": 3, "checkout": 0,
	} {
		if got := len(selectSidecars(all, name)); got != want {
			t.Errorf("%q means %d sidecars, want %d", name, got, want)
		}
	}
}

func TestStatusOfASidecarThatIsNotThereExitsWith1(t *testing.T) {
	t.Parallel()
	address := serve(t, (&fakeMesh{state: troubled()}).register)
	args := []string{"status", "nobody", "--control-plane", address}
	golden(t, "status-no-sidecar", transcript(invocation{}.run(t, args...), args...))
	if r := (invocation{}).run(t, "status", "audit", "--control-plane", address); r.code != exitOK || !strings.Contains(r.out, "audit.shop~99ab") || strings.Contains(r.out, "OBJECT") {
		t.Errorf("status of audit: %+v", r)
	}
}

func TestStatusShowsOneKindOfObject(t *testing.T) {
	t.Parallel()
	address := serve(t, (&fakeMesh{state: troubled()}).register)
	for _, kind := range []string{"subscription", "EventSubscription"} {
		r := invocation{}.run(t, "status", "--kind", kind, "--control-plane", address)
		if r.code != exitOK || !strings.Contains(r.out, "shop/billing  ") || strings.Contains(r.out, "shop/orders-canary") {
			t.Errorf("--kind %s: %+v", kind, r)
		}
	}
}
