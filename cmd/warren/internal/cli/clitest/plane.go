package clitest

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/xds"
)

// ControlPlane answers GetStatus with a fixed state.
type ControlPlane struct {
	adminv1.UnimplementedMeshServiceServer
	State *adminv1.GetStatusResponse
	Asked string // the namespace
}

// Register adds the fake to a server.
func (m *ControlPlane) Register(g *grpc.Server) { adminv1.RegisterMeshServiceServer(g, m) }

// GetStatus answers State.
func (m *ControlPlane) GetStatus(_ context.Context, r *adminv1.GetStatusRequest) (*adminv1.GetStatusResponse, error) {
	m.Asked = r.GetNamespace()
	return m.State, nil
}

// Loaded is when the configuration of the fakes came into force.
var Loaded = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func conditions(accepted, refs, programmed, reason, message string) []*adminv1.Condition {
	return []*adminv1.Condition{
		{Type: "Accepted", Status: accepted, Reason: "Accepted", LastTransitionTime: timestamppb.New(Loaded)},
		{Type: "ResolvedRefs", Status: refs, Reason: "ResolvedRefs", LastTransitionTime: timestamppb.New(Loaded)},
		{Type: "Programmed", Status: programmed, Reason: reason, Message: message, LastTransitionTime: timestamppb.New(Loaded)},
	}
}

// resource is one of a sidecar's, in its state since two minutes after Loaded.
func resource(typeURL, name, state, problem string) *adminv1.SidecarResource {
	r := &adminv1.SidecarResource{
		TypeUrl: typeURL, Name: name, Version: "77aa2200ffee1133", AckedVersion: "77aa2200ffee1133", SentVersion: "77aa2200ffee1133",
		State: state, Error: problem, Since: timestamppb.New(Loaded.Add(2 * time.Minute)),
	}
	if state != "ACKED" {
		r.AckedVersion = "11bb44cc55dd66ee"
	}
	return r
}

// Troubled is a mesh in which a route is refused by one sidecar, another has not
// answered, and the newest configuration was refused.
func Troubled() *adminv1.GetStatusResponse {
	return &adminv1.GetStatusResponse{
		Version: "3f9a1c2b7d5e8f90aabbccdd", LoadedAt: timestamppb.New(Loaded), ControlPlaneVersion: "v0.1.0",
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
