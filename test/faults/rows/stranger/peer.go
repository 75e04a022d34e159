package stranger

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/rig"
	"github.com/warrenmesh/warren/xds"
)

const listenerType = "type.googleapis.com/envoy.config.listener.v3.Listener"

// peer is a malicious client of the control plane.
type peer struct{ w *rig.World }

// hostilePeer: the peer gets an error that names the limit. Other sidecars still get
// changes, and the control plane's memory is bounded.
func hostilePeer(w *rig.World) check.Expect {
	w.Start(rig.Setup{Files: knobFile(w), Load: func(m *rig.Mix) { m.Rate, m.Streams, m.Batches = 30, 0, 0 }})
	k := newKnob(w)
	before := max(k.turn(), k.turn(), k.turn())
	p := peer{w}
	for _, attack := range []struct {
		name string
		run  func(context.Context) string
	}{
		{"a million names", p.names}, {"another's id", p.impostor}, {"large labels", p.labels}, {"thousands of streams", p.streams},
	} {
		d := w.Disturb(attack.name, func() string {
			ctx, cancel := context.WithTimeout(w.Context(), w.Slowly(30*time.Second))
			defer cancel()
			var attacking sync.WaitGroup
			var proof string
			attacking.Go(func() { proof = attack.run(ctx) })
			during := max(k.turn(), k.turn())
			attacking.Wait()
			if bound := time.Duration(w.Slow * float64(max(2*before, time.Second))); during > bound {
				w.Errorf("%s: another sidecar's change took %v, %v before", attack.name, during, before)
			}
			return fmt.Sprintf("%s; a change took %d ms, %d ms before", proof, during.Milliseconds(), before.Milliseconds())
		})
		d.Heal(nil)
		w.AwaitOK(20)
	}
	w.Finish()
	most := highWater(w.Plane.PID())
	w.Logf("the control plane had at most %d MiB", most>>20)
	if most > planeMemory && !w.Race {
		w.Errorf("the control plane had %d MiB, its pod may have %d MiB", most>>20, planeMemory>>20)
	}
	e := w.Expect()
	e.Reasons = []string{}
	e.Void = []string{knobTopic}
	e.Refused = func(p *history.Publish) bool { return rig.Odd(p) && !strings.HasPrefix(p.ID, knobPrefix) }
	return e
}

func (p peer) dial() (discoveryv3.AggregatedDiscoveryServiceClient, func()) {
	p.w.Helper()
	conn, err := grpc.NewClient(p.w.Mesh.ControlPlane(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(1<<30)))
	if err != nil {
		p.w.Fatal(err)
	}
	return discoveryv3.NewAggregatedDiscoveryServiceClient(conn), func() { _ = conn.Close() }
}

func (p peer) node(id string) xds.Node {
	return xds.Node{ID: id, Namespace: p.w.Namespace, Workload: "hostile", Labels: map[string]string{"app": "hostile"}, Version: "1"}
}

// names subscribes to a million names on one stream, in requests of 20,000 names.
func (p peer) names(ctx context.Context) string {
	client, done := p.dial()
	defer done()
	stream, err := client.DeltaAggregatedResources(ctx)
	if err != nil {
		return ""
	}
	const each, all = 20_000, 1_000_000
	asked := 0
	for err == nil && asked < all {
		req := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: listenerType}
		if asked == 0 {
			req.Node = p.node("hostile.names~1").Proto()
		}
		for range each {
			req.ResourceNamesSubscribe = append(req.ResourceNamesSubscribe, fmt.Sprintf("topic/%s/name-%d", p.w.Namespace, asked))
			asked++
		}
		err = stream.Send(req)
	}
	code := endOf(stream)
	if code != codes.ResourceExhausted {
		p.w.Errorf("a stream that asks for %d names ends with %v, want ResourceExhausted", asked, code)
	}
	return fmt.Sprintf("%v after at most %d names", code, asked)
}

// endOf reads a stream to its end.
func endOf(stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient) codes.Code {
	for {
		if _, err := stream.Recv(); err != nil {
			return status.Code(err)
		}
	}
}

// impostor uses the node id of a sidecar, subscribes, and refuses every response.
func (p peer) impostor(ctx context.Context) string {
	id := p.sidecar("checkout")
	if id == "" {
		return ""
	}
	client, done := p.dial()
	defer done()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	stream, err := client.DeltaAggregatedResources(ctx)
	if err == nil {
		err = stream.Send(&discoveryv3.DeltaDiscoveryRequest{
			Node: p.node(id).Proto(), TypeUrl: listenerType, ResourceNamesSubscribe: []string{"topic/" + p.w.Namespace + "/" + rig.Orders},
		})
	}
	refusals := 0
	for err == nil {
		var res *discoveryv3.DeltaDiscoveryResponse
		if res, err = stream.Recv(); err == nil {
			refusals++
			err = stream.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: res.GetTypeUrl(), ResponseNonce: res.GetNonce(), ErrorDetail: status.New(codes.InvalidArgument, "no\x1b[31m\r\nforged row").Proto()})
		}
	}
	if refusals == 0 {
		return "" // it got no response that it could refuse
	}
	out, errs, code := p.w.Mesh.Warren(p.w.Context(), "status", "--control-plane", p.w.Mesh.Admin())
	if strings.ContainsAny(out, "\x1b\r") || strings.Contains(out, "\nforged row") {
		p.w.Errorf("warren status prints what the impostor said as it is: %q", out)
	}
	return fmt.Sprintf("a second stream of %s refused %d responses; warren status ends with %d %s", id, refusals, code, rig.FirstLine(errs))
}

// sidecar is the node id of a workload's sidecar, as the control plane reports it.
func (p peer) sidecar(workload string) string {
	out, errs, code := p.w.Mesh.Warren(p.w.Context(), "status", "--control-plane", p.w.Mesh.Admin(), "-o", "json")
	var state struct {
		Sidecars []struct{ ID, Workload string }
	}
	if err := json.Unmarshal([]byte(out), &state); err != nil || code > 1 {
		p.w.Errorf("warren status ends with %d: %v %s", code, err, rig.FirstLine(errs))
		return ""
	}
	for _, s := range state.Sidecars {
		if s.Workload == workload {
			return s.ID
		}
	}
	return ""
}

// labels identifies itself with labels of 3 MB, as seven nodes.
func (p peer) labels(ctx context.Context) string {
	client, done := p.dial()
	defer done()
	var got []string
	for i := range 7 {
		node := p.node(fmt.Sprintf("hostile.labels~%d", i))
		node.Labels["app"] = strings.Repeat("l", 3<<20)
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		stream, err := client.DeltaAggregatedResources(ctx)
		code := status.Code(err)
		if err == nil {
			_ = stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: node.Proto(), TypeUrl: listenerType}) // Recv returns its error
			_, err = stream.Recv()
			code = status.Code(err)
		}
		cancel()
		if code != codes.ResourceExhausted && code != codes.InvalidArgument {
			p.w.Errorf("a node with 3 MB of labels is answered %v", code)
		}
		got = append(got, code.String())
	}
	return fmt.Sprintf("seven nodes with 3 MB of labels: %s", strings.Join(slices.Compact(got), ", "))
}

// streams opens thousands of streams and keeps them open.
func (p peer) streams(ctx context.Context) string {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	count := p.w.Often(5000, 1600)
	conns := count / 80
	var open sync.WaitGroup
	var answered, refused atomic.Int64
	for c := range conns {
		client, done := p.dial()
		defer done()
		for i := range count / conns {
			open.Go(func() {
				stream, err := client.DeltaAggregatedResources(ctx)
				if err == nil {
					_ = stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: p.node(fmt.Sprintf("hostile.many~%d-%d", c, i)).Proto(), TypeUrl: listenerType})
					_, err = stream.Recv()
				}
				switch {
				case err == nil:
					answered.Add(1)
					_, _ = stream.Recv()
				case status.Code(err) == codes.ResourceExhausted:
					refused.Add(1)
				}
			})
		}
	}
	p.w.Within(10*time.Second, func() bool { return answered.Load()+refused.Load() >= int64(count) })
	if refused.Load() == 0 {
		p.w.Errorf("of %d streams of one peer none was refused with ResourceExhausted; %d were answered", count, answered.Load())
	}
	cancel()
	open.Wait()
	return fmt.Sprintf("of %d streams of one peer %d were refused with ResourceExhausted", count, refused.Load())
}
