package skew

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/server"
	"github.com/warrenmesh/warren/xds/wire"
)

// TestUpgradeSkew runs every recorded version against today's, once as sidecar and once
// as control plane.
func TestUpgradeSkew(t *testing.T) {
	t.Parallel()
	if *record != "" {
		makeRecording(t, *record)
		return
	}
	for _, dir := range recordings(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			t.Run("an older sidecar accepts a configuration of its time", func(t *testing.T) {
				t.Parallel()
				olderSidecarAccepts(t, open(t, dir))
			})
			t.Run("an older sidecar refuses a field its descriptors do not have", func(t *testing.T) {
				t.Parallel()
				olderSidecarRefusesTheUnknown(t, open(t, dir))
			})
			t.Run("a newer sidecar runs what an older control plane sends", func(t *testing.T) {
				t.Parallel()
				newerSidecarRuns(t, open(t, dir))
			})
		})
	}
	t.Run("a sidecar older than push refuses push and keeps what it has", func(t *testing.T) {
		t.Parallel()
		olderSidecarRefuses(t, open(t, "testdata/first-light"), addPush, "push_port: not supported")
	})
	t.Run("a sidecar older than deduplication refuses it and keeps what it has", func(t *testing.T) {
		t.Parallel()
		olderSidecarRefuses(t, open(t, "testdata/first-light"), addDedupe, "warren.xds.v1.SubscriptionListener has no field number 13")
	})
	t.Run("a sidecar older than a bound of bytes refuses it and keeps what it has", func(t *testing.T) {
		t.Parallel()
		olderSidecarRefuses(t, open(t, "testdata/first-light"), addBytes, "warren.xds.v1.Queue has no field number 4")
	})
	t.Run("a sidecar older than order refuses a topic and a subscription that have one", func(t *testing.T) {
		t.Parallel()
		olderSidecarRefusesOrder(t, open(t, "testdata/first-light"))
	})
	t.Run("today's sidecar refuses a field of tomorrow and keeps publishing", func(t *testing.T) {
		t.Parallel()
		todayRefusesTomorrow(t, open(t, "testdata/first-light"))
	})
}

func files(t *testing.T, r *recording, change func(string) string) map[string]string {
	t.Helper()
	text := string(r.read(t, configFile))
	if change != nil {
		changed := change(text)
		if changed == text {
			t.Fatal("the recording's configuration cannot be changed like this")
		}
		text = changed
	}
	return map[string]string{configFile: text}
}

// A new field must be set only where the configuration asks for it. Otherwise every
// older sidecar would refuse all resources after an upgrade.
func olderSidecarAccepts(t *testing.T, old *recording) {
	t.Helper()
	p := launch(t, files(t, old, nil))
	connect(t, p.XDSAddr(), old).readAll()
	now := p.eventually(t, "the older sidecar is in sync", func(s seen) bool { return s.state == "SYNCED" && len(s.resources) == 7 })
	for name, r := range now.resources {
		if r.GetState() != "ACKED" || r.GetAckedVersion() != r.GetVersion() {
			t.Errorf("%s: %v", name, r)
		}
	}
	for name, o := range now.objects {
		for _, c := range o.GetConditions() {
			want := "True"
			if c.GetType() == "Healthy" {
				want = "Unknown" // what sidecars report, and an older one does not
			}
			if c.GetStatus() != want {
				t.Errorf("%s: %s is %s: %s %s", name, c.GetType(), c.GetStatus(), c.GetReason(), c.GetMessage())
			}
		}
	}
}

// addPush changes the recorded configuration to one that first-light refuses.
func addPush(text string) string {
	return strings.Replace(text, "  ackDeadline: 30s\n", "  ackDeadline: 30s\n  delivery: {push: {port: 9090}}\n", 1)
}

func addDedupe(text string) string {
	return strings.Replace(text, "  ackDeadline: 30s\n", "  ackDeadline: 30s\n  dedupe: {}\n", 1)
}

func addBytes(text string) string {
	return strings.Replace(text, "prefetch: 64", "prefetch: 64, prefetchBytes: 1048576", 1)
}

// addOrder makes the topic partitioned and the subscription ordered.
func addOrder(text string) string {
	text = strings.Replace(text, "  routingKey:", "  partitions: {count: 8}\n  routingKey:", 1)
	return strings.Replace(text, "  ordering: None\n", "  ordering: PerKey\n", 1)
}

// The sidecar must not publish without a partition, nor receive from a queue that does
// not exist.
func olderSidecarRefusesOrder(t *testing.T, old *recording) {
	t.Helper()
	p := launch(t, files(t, old, addOrder))
	connect(t, p.XDSAddr(), old).readAll()
	now := p.eventually(t, "the refusal is seen", func(s seen) bool { return refusal(s) && len(s.resources) == 7 })
	for key, why := range map[string]string{
		xds.TypeListener + " " + billing: "warren.xds.v1.SubscriptionListener has no field number 1",
		xds.TypeRoute + " " + topics[0]:  "not supported",
	} {
		if r := now.resources[key]; r.GetState() != "NACKED" || !strings.Contains(r.GetError(), why) {
			t.Errorf("%s: %v, want NACKED with %q", key, r, why)
		}
	}
	if r := now.resources[xds.TypeRoute+" "+topics[1]]; r.GetState() != "ACKED" {
		t.Errorf("a topic without partitions was affected: %v", r)
	}
}

func olderSidecarRefuses(t *testing.T, old *recording, change func(string) string, why string) {
	t.Helper()
	p := launch(t, files(t, old, nil))
	sidecar := connect(t, p.XDSAddr(), old)
	sidecar.readAll()
	before := p.eventually(t, "the older sidecar is in sync", func(s seen) bool { return s.state == "SYNCED" && len(s.resources) == 7 })

	p.write(t, files(t, old, change))
	sidecar.next()
	now := p.eventually(t, "the refusal is seen", refusal)
	refused(t, now, why)
	key := xds.TypeListener + " " + billing
	if had := before.resources[key].GetVersion(); now.resources[key].GetAckedVersion() != had {
		t.Errorf("it runs version %q, want the last good one, %q", now.resources[key].GetAckedVersion(), had)
	}
}

// refusal reports whether a sidecar has answered everything and refused something.
func refusal(s seen) bool {
	for _, r := range s.resources {
		if r.GetState() == "SENT" {
			return false
		}
	}
	return s.state == "NACK"
}

// refused checks what users see of a subscription that a sidecar refused.
func refused(t *testing.T, s seen, why string) {
	t.Helper()
	if r := s.resources[xds.TypeListener+" "+billing]; r.GetState() != "NACKED" || !strings.Contains(r.GetError(), why) {
		t.Errorf("the resource: %v, want NACKED with %q", r, why)
	}
	o := s.objects["EventSubscription billing"]
	if o.GetRejected() != 1 || !strings.Contains(o.GetLastError(), why) {
		t.Errorf("the object: %v, want one rejection with %q", o, why)
	}
	for _, c := range o.GetConditions() {
		if c.GetType() == "Programmed" && (c.GetStatus() != "False" || c.GetReason() != "Rejected") {
			t.Errorf("Programmed: %v", c)
		}
	}
	for name, r := range s.resources {
		if !strings.HasSuffix(name, billing) && r.GetState() != "ACKED" {
			t.Errorf("%s was affected: %v", name, r)
		}
	}
}

// tomorrow is a control plane of a later version: it adds an unknown field to the
// responses of today's.
type tomorrow struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	today discoveryv3.AggregatedDiscoveryServiceClient
}

// fieldOfTomorrow is a field number that none of our messages has.
const fieldOfTomorrow = 1000

func serveTomorrow(t *testing.T, p *plane) string {
	t.Helper()
	later := &tomorrow{today: discoveryv3.NewAggregatedDiscoveryServiceClient(dial(t, p.XDSAddr()))}
	return serve(t, func(s *grpc.Server) { discoveryv3.RegisterAggregatedDiscoveryServiceServer(s, later) }, func() {}, server.ServerOptions()...)
}

// DeltaAggregatedResources forwards requests to today's control plane, and returns its
// changed responses.
func (l *tomorrow) DeltaAggregatedResources(down discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	g, ctx := errgroup.WithContext(down.Context())
	up, err := l.today.DeltaAggregatedResources(ctx)
	if err != nil {
		return err
	}
	g.Go(func() error {
		for {
			req, err := down.Recv()
			if err != nil {
				return errors.Join(err, up.CloseSend())
			}
			if err := up.Send(req); err != nil {
				return err
			}
		}
	})
	g.Go(func() error {
		for {
			resp, err := up.Recv()
			if errors.Is(err, io.EOF) {
				return context.Canceled
			}
			if err != nil {
				return err
			}
			for _, r := range resp.GetResources() {
				if err := addField(r); err != nil {
					return err
				}
			}
			if err := down.Send(resp); err != nil {
				return err
			}
		}
	})
	return g.Wait()
}

// addField sets the field of tomorrow in subscriptions.
func addField(r *discoveryv3.Resource) error {
	if r.GetName() != billing {
		return nil
	}
	var l listenerv3.Listener
	if err := proto.Unmarshal(r.GetResource().GetValue(), &l); err != nil {
		return err
	}
	inner := l.GetApiListener().GetApiListener()
	inner.Value = protowire.AppendVarint(protowire.AppendTag(inner.GetValue(), fieldOfTomorrow, protowire.VarintType), 1)
	return r.GetResource().MarshalFrom(&l)
}

func olderSidecarRefusesTheUnknown(t *testing.T, old *recording) {
	t.Helper()
	p := launch(t, files(t, old, nil))
	connect(t, serveTomorrow(t, p), old).readAll()
	refused(t, p.eventually(t, "the refusal is seen", func(s seen) bool { return refusal(s) && len(s.resources) == 7 }),
		"warren.xds.v1.SubscriptionListener has no field number 1000")
}

func todayRefusesTomorrow(t *testing.T, version *recording) {
	t.Helper()
	p := launch(t, files(t, version, nil))
	sidecar := follow(t, serveTomorrow(t, p))
	if err := sidecar.Await(t.Context(), orders); err != nil {
		t.Fatalf("publishing does not go on: %v", err)
	}
	now := p.eventually(t, "the refusal is seen", refusal)
	refused(t, now, "warren.xds.v1.SubscriptionListener has no field number 1000")
	config := sidecar.config(t, func(c *mesh.Config) bool { return c.Topics[orders] != nil })
	if len(config.Subscriptions) > 0 {
		t.Errorf("it runs the half it knows of a subscription: %+v", config.Subscriptions)
	}
}

// newerSidecarRuns compares the configuration that today's sidecar makes from the
// recorded bytes with the one it makes from today's resources. Fields that were added
// since have their defaults.
func newerSidecarRuns(t *testing.T, old *recording) {
	t.Helper()
	complete := func(c *mesh.Config) bool { return len(c.Topics) == 1 && len(c.Subscriptions) == 1 }
	want := follow(t, launch(t, files(t, old, nil)).XDSAddr()).config(t, complete)
	got := follow(t, replay(t, old)).config(t, complete)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the same configuration means something else:\n%s\nwant:\n%s", show(got), show(want))
	}
}

// replay serves the resources that the older control plane sent.
func replay(t *testing.T, old *recording) string {
	t.Helper()
	var view server.View
	for _, resp := range old.resources {
		for _, r := range resp.GetResources() {
			resource := wire.Resource{TypeURL: resp.GetTypeUrl(), Name: r.GetName(), Version: r.GetVersion(), Any: r.GetResource()}
			if r.GetName() == billing {
				view.Scoped = append(view.Scoped, server.Scoped{Resource: resource, Namespace: node.Namespace})
			} else {
				view.Resources = append(view.Resources, resource)
			}
		}
	}
	s := server.New(server.Options{})
	s.Update(view)
	return serve(t, s.Register, s.Close, server.ServerOptions()...)
}
