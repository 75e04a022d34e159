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

func depth(backlog, retrying, dead uint64, receivers uint32) *adminv1.Depth {
	return &adminv1.Depth{Backlog: &backlog, Retrying: &retrying, DeadLetters: &dead, Receivers: &receivers}
}

// traffic has a broker of which one node is down, and dead letters.
func traffic() *adminv1.Traffic {
	return &adminv1.Traffic{
		Nodes: []*adminv1.BrokerNodeStatus{
			{Broker: "shop/main", Address: "10.0.0.1:5672", Server: "RabbitMQ 4.0.5", Up: 3},
			{Broker: "shop/main", Address: "10.0.0.2:5672", Down: 2, Up: 1, Reason: "publish connection: dial tcp 10.0.0.2:5672: connection refused"},
		},
		Topics: []*adminv1.TopicTraffic{{Topic: "shop/orders", Rate: 20.4, Failed: 0.5, Retried: 1}},
		Subscriptions: []*adminv1.SubscriptionTraffic{
			{Subscription: "shop/audit", Depth: &adminv1.Depth{Backlog: new(uint64(4)), Retrying: new(uint64(0)), Receivers: new(uint32(0)), Error: `inspect queue "orders.audit.dead": access-refused: configure`}},
			{Subscription: "shop/billing", Rate: 22, Failed: 2.5, Depth: depth(10, 4, 50, 2)},
			{Subscription: "shop/ledger", Depth: depth(7, 0, 0, 0)},
			{Subscription: "shop/mail", Rate: 0.05},
		},
		QueuesWithoutBackstop: []string{"orders.audit"},
	}
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
			{Kind: "EventBroker", Namespace: "shop", Name: "main", Acked: 3, Conditions: append(conditions("True", "True", "True", "Programmed", ""), &adminv1.Condition{
				Type: "Healthy", Status: "False", Reason: "Degraded", LastTransitionTime: timestamppb.New(Loaded),
				Message: "10.0.0.2:5672: 2 of 3 sidecars cannot use it: connection refused",
			})},
			{Kind: "EventSubscription", Namespace: "shop", Name: "billing", Conditions: conditions("True", "True", "Unknown", "NoSidecars", "no sidecar is selected")},
		},
		Traffic: traffic(),
		Sidecars: []*adminv1.Sidecar{
			{Id: "checkout.shop~7f3a", Namespace: "shop", Workload: "checkout", State: "SYNCED", Version: "v0.1.0", Peer: "10.0.0.7:41000",
				Reports: "REPORTING", LastReport: durationpb.New(3 * time.Second), ConfigVersion: "5ed0c1a2b3f4",
				Labels: map[string]string{"zone": "a", "app": "checkout"}, ConnectedFor: durationpb.New(125 * time.Minute),
				Resources: []*adminv1.SidecarResource{resource(xds.TypeListener, "topic/shop/orders", "ACKED", ""), resource(xds.TypeCluster, "broker/shop/main", "ACKED", "")}},
			{Id: "billing.shop~1c20", Namespace: "shop", Workload: "billing", State: "NACK", Version: "v0.0.9", Peer: "10.0.0.8:41000",
				Reports: "LATE", LastReport: durationpb.New(25 * time.Second), ConfigVersion: "5ed0c1a2b3f4",
				ConnectedFor: durationpb.New(42 * time.Second),
				Resources: []*adminv1.SidecarResource{
					resource(xds.TypeListener, "topic/shop/orders", "ACKED", ""), resource(xds.TypeRoute, "topic/shop/orders", "NACKED", "regex is not supported"),
					resource(xds.TypeListener, "subscription/shop/billing", "ACKED", ""),
					resource(xds.TypeCluster, "broker/shop/main", "ACKED", ""), resource(xds.TypeEndpoint, "broker/shop/main", "SENT", ""),
				}},
			{Id: "audit.shop~99ab", Namespace: "shop", Workload: "audit", State: "STALE", Version: "v0.1.0", Peer: "10.0.0.9:41000", Reports: "NOT_REPORTING",
				ConnectedFor: durationpb.New(50 * time.Hour), Resources: []*adminv1.SidecarResource{resource(xds.TypeListener, "topic/shop/orders", "SENT", "")}},
		},
	}
}
