package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/server"
	"github.com/warrenmesh/warren/xds/wire"
)

// raw is a stream that may send anything; end is how it ended.
type raw struct {
	t      *testing.T
	stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
}

func openRaw(t *testing.T, stub discoveryv3.AggregatedDiscoveryServiceClient) *raw {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	stream, err := stub.DeltaAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return &raw{t, stream}
}

// send tells whether the stream still takes requests.
func (r *raw) send(req *discoveryv3.DeltaDiscoveryRequest) bool {
	err := r.stream.Send(req)
	if err != nil && !errors.Is(err, io.EOF) {
		r.t.Errorf("send: %v", err)
	}
	return err == nil
}

func (r *raw) end() error {
	for {
		if _, err := r.stream.Recv(); err != nil {
			return err
		}
	}
}

func manyNames(from, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = "topic/shop/t" + strconv.Itoa(10_000_000+from+i)
	}
	return names
}

func TestRequestsBeyondTheBoundsEndTheStream(t *testing.T) {
	t.Parallel()
	s := server.New(server.Options{Limits: server.Limits{FirstRequest: patience}})
	stub := start(t, s)
	s.Update(server.View{Resources: topic(t, "orders", 100)})
	who := node("a.shop~1")
	// They are made one by one: a stream that ends early costs little.
	type many iter.Seq[*discoveryv3.DeltaDiscoveryRequest]
	requests := func(n int, build func(i int) *discoveryv3.DeltaDiscoveryRequest) many {
		return func(yield func(*discoveryv3.DeltaDiscoveryRequest) bool) {
			for i := range n {
				if !yield(build(i)) {
					return
				}
			}
		}
	}
	one := func(req *discoveryv3.DeltaDiscoveryRequest) many {
		return requests(1, func(int) *discoveryv3.DeltaDiscoveryRequest { return req })
	}
	asNode := func(change func(*corev3.Node)) many {
		n := who.Proto()
		change(n)
		return one(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeRoute, Node: n})
	}
	labels := func(of map[string]string) *corev3.Node {
		n := who
		n.Labels = of
		return n.Proto()
	}
	for name, c := range map[string]struct {
		requests many
		code     codes.Code
		text     string
	}{
		"a million names, 50,000 at a time": {requests(20, func(i int) *discoveryv3.DeltaDiscoveryRequest {
			return &discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeRoute, ResourceNamesSubscribe: manyNames(50_000*i, 50_000)}
		}), codes.ResourceExhausted, "more than 10000 names of type RouteConfiguration"},
		"a million names, 1,000 at a time": {requests(1000, func(i int) *discoveryv3.DeltaDiscoveryRequest {
			return &discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeRoute, ResourceNamesSubscribe: manyNames(1000*i, 1000)}
		}), codes.ResourceExhausted, "more than 10000 names"},
		"a million names in one request": {requests(1, func(int) *discoveryv3.DeltaDiscoveryRequest {
			return &discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeRoute, ResourceNamesSubscribe: manyNames(0, 1_000_000)}
		}), codes.ResourceExhausted, "4194304"},
		"too many initial versions": {one(func() *discoveryv3.DeltaDiscoveryRequest {
			versions := map[string]string{}
			for _, n := range manyNames(0, 20_001) {
				versions[n] = "v"
			}
			return &discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeRoute, InitialResourceVersions: versions}
		}()), codes.ResourceExhausted, "initial_resource_versions has 20001 names"},
		"a long name":                     {one(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeRoute, ResourceNamesSubscribe: []string{strings.Repeat("n", 513)}}), codes.InvalidArgument, "has 513 bytes: want at most 512"},
		"a long name among the versions":  {one(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeRoute, InitialResourceVersions: map[string]string{strings.Repeat("n", 513): "v"}}), codes.InvalidArgument, "has 513 bytes"},
		"a name with an escape sequence":  {one(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeRoute, ResourceNamesSubscribe: []string{"topic/shop/\x1b[2J"}}), codes.InvalidArgument, "control characters"},
		"a name that turns its direction": {one(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeRoute, ResourceNamesSubscribe: []string{"topic/shop/\u202esredro"}}), codes.InvalidArgument, "control characters"},
		"many types": {requests(17, func(i int) *discoveryv3.DeltaDiscoveryRequest {
			return &discoveryv3.DeltaDiscoveryRequest{TypeUrl: fmt.Sprint("type.googleapis.com/x.T", i)}
		}), codes.ResourceExhausted, "more than 16 types"},
		"a long type":                    {one(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: strings.Repeat("t", 257)}), codes.InvalidArgument, "has 257 bytes"},
		"no type":                        {one(&discoveryv3.DeltaDiscoveryRequest{}), codes.InvalidArgument, "type URL is required"},
		"a long id":                      {asNode(func(n *corev3.Node) { n.Id = strings.Repeat("i", 254) }), codes.InvalidArgument, "id has 254 bytes: want at most 253"},
		"an id of two lines":             {asNode(func(n *corev3.Node) { n.Id = "a\nb" }), codes.InvalidArgument, `id is "a\nb"`},
		"an id with an escape sequence":  {asNode(func(n *corev3.Node) { n.Id = "\x1b]0;x\a" }), codes.InvalidArgument, "id is"},
		"an id with a blank":             {asNode(func(n *corev3.Node) { n.Id = "a b" }), codes.InvalidArgument, "without blanks"},
		"an id that turns its direction": {asNode(func(n *corev3.Node) { n.Id = "a\u202eb" }), codes.InvalidArgument, `id is "a\u202eb"`},
		"a workload with a line break":   {asNode(func(n *corev3.Node) { n.Cluster = "a\r" }), codes.InvalidArgument, "cluster is"},
		"a version that is long": {asNode(func(n *corev3.Node) {
			n.UserAgentVersionType = &corev3.Node_UserAgentVersion{UserAgentVersion: strings.Repeat("v", 254)}
		}), codes.InvalidArgument, "user_agent_version has 254 bytes"},
		"more labels than anybody has": {one(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeRoute, Node: labels(map[string]string{"a": strings.Repeat("l", 8<<10)})}), codes.InvalidArgument, "metadata has"},
		"a label with a bell":          {one(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeRoute, Node: labels(map[string]string{"a": "\a"})}), codes.InvalidArgument, "control characters"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := openRaw(t, stub)
			sent := make(chan struct{})
			go func() { // while the answers are read, or the server would wait for that
				defer close(sent)
				first := true
				for req := range c.requests {
					if first && req.Node == nil {
						req.Node = who.Proto()
					}
					first = false
					if !r.send(req) {
						return
					}
				}
			}()
			defer func() { <-sent }()
			if err := r.end(); status.Code(err) != c.code || !strings.Contains(err.Error(), c.text) {
				t.Errorf("it ended with %v, want %v with %q", err, c.code, c.text)
			}
		})
	}
}

func TestTenThousandNamesOfEachTypeAreServed(t *testing.T) {
	t.Parallel()
	s := server.New(server.Options{})
	stub := start(t, s)
	s.Update(server.View{})
	c := newClient(t, stub, node("a.shop~1"))
	c.open()
	for _, typeURL := range []string{xds.TypeListener, xds.TypeRoute} {
		told := 0
		c.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURL, ResourceNamesSubscribe: append(manyNames(0, 10_000), "*")})
		for told < 10_000 {
			told += len(c.next().GetRemovedResources())
			c.answer("")
		}
	}
	// To give up is to make room.
	c.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeRoute, ResourceNamesUnsubscribe: manyNames(0, 1000)})
	c.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeRoute, ResourceNamesSubscribe: manyNames(20_000, 1000)})
	if n := len(c.next().GetRemovedResources()); n != 1000 {
		t.Errorf("told of %d names, want 1000", n)
	}
}

func TestStreamsAndTheirNamesAreBounded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits server.Limits
		text   string
	}{
		"of one peer": {server.Limits{StreamsPerPeer: 3}, "3 streams are open from bufconn, which is this control plane's limit for one peer"},
		"in all":      {server.Limits{Streams: 3}, "3 streams are open, which is this control plane's limit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := server.New(server.Options{Limits: c.limits})
			stub := start(t, s)
			s.Update(server.View{})
			clients := make([]*client, 3)
			for i := range clients {
				clients[i] = newClient(t, stub, node(fmt.Sprintf("a.shop~%d", i)))
				clients[i].open()
				clients[i].fence()
			}
			if err := openRaw(t, stub).end(); status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), c.text) {
				t.Errorf("one more ended with %v", err)
			}
			clients[0].cancel() // makes room
			await(t, s, "one has left", func(all []server.Sidecar) bool { return len(all) == 2 })
			again := newClient(t, stub, node("a.shop~9"))
			again.open()
			again.fence()
		})
	}
	t.Run("names of one peer", func(t *testing.T) {
		t.Parallel()
		s := server.New(server.Options{Limits: server.Limits{NamesPerPeer: 15}})
		stub := start(t, s)
		s.Update(server.View{})
		first := newClient(t, stub, node("a.shop~1"))
		first.open()
		first.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeRoute, ResourceNamesSubscribe: manyNames(0, 10)})
		first.next()
		second := openRaw(t, stub)
		second.send(&discoveryv3.DeltaDiscoveryRequest{Node: node("a.shop~2").Proto(), TypeUrl: xds.TypeRoute, ResourceNamesSubscribe: manyNames(0, 10)})
		if err := second.end(); status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "more than 15 names together") {
			t.Errorf("it ended with %v", err)
		}
	})
}

func TestAStreamThatSaysNothingEnds(t *testing.T) {
	t.Parallel()
	s := server.New(server.Options{Limits: server.Limits{FirstRequest: 20 * time.Millisecond}})
	stub := start(t, s)
	s.Update(server.View{})
	if err := openRaw(t, stub).end(); status.Code(err) != codes.DeadlineExceeded || !strings.Contains(err.Error(), "no request came within 20ms") {
		t.Errorf("it ended with %v", err)
	}
}

// bulky is a resource of so many bytes, which nobody decodes.
func bulky(name string, bytes int) wire.Resource {
	return wire.Resource{
		TypeURL: xds.TypeRoute, Name: name, Version: fmt.Sprint("v", bytes),
		Any: &anypb.Any{TypeUrl: xds.TypeRoute, Value: make([]byte, bytes)},
	}
}

// Stock clients receive 4 MiB at most. What is larger comes in parts, each after the
// answer to the one before, and so do removals.
func TestResponsesFitStockClients(t *testing.T) {
	t.Parallel()
	s := server.New(server.Options{})
	stub := start(t, s)
	var v server.View
	for _, name := range manyNames(0, 12) {
		v.Resources = append(v.Resources, bulky(name, 200<<10))
	}
	v.Resources = append(v.Resources, bulky("topic/shop/large", 2<<20))
	s.Update(v)
	c := newClient(t, stub, node("a.shop~1"))
	c.open()
	absent := make([]string, 6000)
	for i := range absent {
		absent[i] = fmt.Sprintf("topic/shop/%s%04d", strings.Repeat("x", 230), i)
	}
	c.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeRoute, ResourceNamesSubscribe: append(manyNames(0, 12), "topic/shop/large")})
	c.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeRoute, ResourceNamesSubscribe: absent})
	got, gone, responses := map[string]bool{}, map[string]bool{}, 0
	for len(got) < 13 || len(gone) < len(absent) {
		resp := c.next() // a client that receives 4 MiB
		responses++
		if size := proto.Size(resp); size > 1<<20 && len(resp.GetResources())+len(resp.GetRemovedResources()) > 1 {
			t.Errorf("a response of %d bytes has %d resources", size, len(resp.GetResources()))
		}
		for _, r := range resp.GetResources() {
			if got[r.GetName()] {
				t.Errorf("%s came twice", r.GetName())
			}
			got[r.GetName()] = true
		}
		for _, name := range resp.GetRemovedResources() {
			gone[name] = true
		}
		c.answer("")
	}
	c.fence()
	if len(c.inbox) > 0 {
		t.Errorf("more came than there is: %d responses", len(c.inbox))
	}
	t.Logf("%d responses", responses)
}

// What does not go into any response for a stock client is an error of that resource:
// the stream lives, and all else comes.
func TestAStockClientIsToldWhatIsTooLargeForIt(t *testing.T) {
	t.Parallel()
	s := server.New(server.Options{})
	stub := start(t, s)
	small := bulky("topic/shop/small", 10)
	s.Update(server.View{Resources: []wire.Resource{bulky("topic/shop/large", 5<<20), small}})
	r := openRaw(t, stub)
	stock := node("envoy.shop~1").Proto()
	stock.UserAgentName = "envoy"
	r.send(&discoveryv3.DeltaDiscoveryRequest{Node: stock, TypeUrl: xds.TypeRoute, ResourceNamesSubscribe: []string{"topic/shop/large", "topic/shop/small"}})
	next := func() *discoveryv3.DeltaDiscoveryResponse {
		t.Helper()
		resp, err := r.stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		r.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeRoute, ResponseNonce: resp.GetNonce()})
		return resp
	}
	resp := next()
	if len(resp.GetResources()) != 1 || len(resp.GetResourceErrors()) != 1 ||
		resp.GetResourceErrors()[0].GetResourceName().GetName() != "topic/shop/large" || resp.GetResourceErrors()[0].GetErrorDetail().GetCode() != int32(codes.ResourceExhausted) {
		t.Fatalf("got %d resources and errors %v", len(resp.GetResources()), resp.GetResourceErrors())
	}
	s.Update(server.View{Resources: []wire.Resource{bulky("topic/shop/large", 3<<20), small}})
	if resp := next(); len(resp.GetResources()) != 1 || resp.GetResources()[0].GetName() != "topic/shop/large" || len(resp.GetResourceErrors()) > 0 {
		t.Errorf("when it is smaller came %d resources and errors %v", len(resp.GetResources()), resp.GetResourceErrors())
	}
}

func TestALongRefusalIsCut(t *testing.T) {
	t.Parallel()
	s := server.New(server.Options{})
	stub := start(t, s)
	s.Update(server.View{Resources: topic(t, "orders", 100)})
	c := newClient(t, stub, node("a.shop~1"))
	c.open()
	c.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeRoute, ResourceNamesSubscribe: []string{"topic/shop/orders"}})
	c.next()
	c.answer(strings.Repeat("é", 1<<20))
	await(t, s, "the refusal is known", func(all []server.Sidecar) bool {
		if len(all) != 1 || len(all[0].Resources) != 1 || all[0].Resources[0].State != server.Nacked {
			return false
		}
		if n := len(all[0].Resources[0].Error); n > 1100 {
			t.Errorf("%d bytes of it are kept", n)
		}
		return true
	})
}

// One stream that asks for all it may, and one that asks for a million names again and
// again: others get their changes, and what was taken is given back.
func TestHostileStreamsHoldUpNobody(t *testing.T) {
	t.Parallel()
	s := server.New(server.Options{})
	stub := start(t, s)
	s.Update(server.View{Resources: topic(t, "orders", 0)})
	good := newClient(t, stub, node("good.shop~1"))
	good.open()
	good.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeRoute, ResourceNamesSubscribe: []string{"topic/shop/orders"}})
	good.next()
	good.answer("")
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)

	ends := make(chan error)
	for i := range 4 {
		r := openRaw(t, stub)
		go func() { ends <- r.end() }()
		go func() {
			req := &discoveryv3.DeltaDiscoveryRequest{Node: node(fmt.Sprintf("bad.shop~%d", i)).Proto(), TypeUrl: xds.TypeRoute}
			for n := 0; n < 1_000_000; n += 5000 {
				req.ResourceNamesSubscribe = manyNames(n, 5000)
				if !r.send(req) {
					break
				}
				req = &discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeRoute}
			}
		}()
	}
	for i := range 20 {
		s.Update(server.View{Resources: topic(t, "orders", uint32(i+1))})
		if resp := good.next(); len(resp.GetResources()) != 1 {
			t.Errorf("change %d: got %v", i, resp)
		}
		good.answer("")
	}
	for range 4 {
		if err := <-ends; status.Code(err) != codes.ResourceExhausted {
			t.Errorf("a hostile stream ended with %v", err)
		}
	}
	await(t, s, "they have left", func(all []server.Sidecar) bool { return len(all) == 1 })
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<20 {
		t.Errorf("%d MiB stay after them", grown>>20)
	}
}
