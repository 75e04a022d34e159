package server

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/server/internal/delta"
	"github.com/warrenmesh/warren/xds/wire"
)

// model is a server whose streams have no transport, and what it serves. Names say
// whether a resource is a scoped one: topic<n> or subscription<n>.
type model struct {
	*testing.T

	random  *rand.Rand
	server  *Server
	peers   []*peerModel
	view    View
	applies map[string]bool // whether a scoped Listener is for the label "yes"
}

// peerModel is a client that believes what it is told.
type peerModel struct {
	*stream

	names    map[string]bool
	wildcard bool
	has      map[string]string
	last     *discoveryv3.DeltaDiscoveryResponse
}

const modelNames = 6

func (m *model) update() {
	resource := func(kind string, i int) wire.Resource {
		return wire.Resource{TypeURL: xds.TypeListener, Name: fmt.Sprint(kind, i), Version: fmt.Sprint("v", m.random.IntN(2)), Any: &anypb.Any{}}
	}
	groups := m.view.Groups
	if groups == nil || m.random.IntN(4) == 0 {
		groups = nil
		for range 3 {
			var keys [][2]string
			for range 1 + m.random.IntN(3*modelNames) {
				keys = append(keys, [2]string{xds.TypeListener, fmt.Sprint([]string{"topic", "subscription"}[m.random.IntN(2)], m.random.IntN(modelNames))})
			}
			groups = append(groups, NewGroup(keys))
		}
		groups = append(groups, m.view.Groups[:min(len(m.view.Groups), m.random.IntN(3))]...)
	}
	m.view, m.applies = View{Groups: groups}, map[string]bool{}
	for i := range modelNames {
		if m.random.IntN(4) > 0 {
			m.view.Resources = append(m.view.Resources, resource("topic", i))
		}
		if m.random.IntN(3) > 0 {
			r, yes := resource("subscription", i), m.random.IntN(2) == 0
			m.applies[r.Name] = yes
			scoped := Scoped{Resource: r, Namespace: "shop", Match: func(labels map[string]string) bool { return (labels["a"] == "yes") == yes }}
			if m.random.IntN(2) == 0 {
				scoped.Selector = fmt.Sprint("yes is ", yes)
			}
			m.view.Scoped = append(m.view.Scoped, scoped)
		}
	}
	m.server.Update(m.view)
}

func (m *model) enter(id int) *peerModel {
	p := &peerModel{stream: m.server.newStream(m.Context()), names: map[string]bool{}, has: map[string]string{}}
	if err := m.server.admission.enter(p.stream); err != nil {
		m.Fatal(err)
	}
	node := xds.Node{ID: fmt.Sprint("n", id), Namespace: "shop", Labels: map[string]string{"a": []string{"yes", "no"}[id%2]}}
	req := &discoveryv3.DeltaDiscoveryRequest{Node: node.Proto(), TypeUrl: xds.TypeListener}
	if m.random.IntN(2) == 0 { // it comes back
		name := fmt.Sprint("topic", m.random.IntN(modelNames))
		p.names[name], p.has[name] = true, "v0"
		req.ResourceNamesSubscribe, req.InitialResourceVersions = []string{name}, map[string]string{name: "v0"}
	}
	m.request(p, req)
	return p
}

func (m *model) request(p *peerModel, req *discoveryv3.DeltaDiscoveryRequest) {
	if err := p.requested(req); err != nil {
		m.Fatal(err)
	}
}

// subscribe changes what a client asks for.
func (m *model) subscribe(p *peerModel) {
	req := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeListener}
	name := []string{"*", fmt.Sprint("topic", m.random.IntN(modelNames)), fmt.Sprint("subscription", m.random.IntN(modelNames))}[m.random.IntN(3)]
	on := m.random.IntN(3) > 0
	if on {
		req.ResourceNamesSubscribe = []string{name}
	} else {
		req.ResourceNamesUnsubscribe = []string{name}
	}
	switch {
	case name == "*":
		p.wildcard = on
	case on:
		p.names[name] = true
	default:
		delete(p.names, name)
	}
	// It drops what it no longer asks for; what the wildcard covers, it keeps.
	maps.DeleteFunc(p.has, func(name, _ string) bool { return !p.names[name] && !p.wildcard })
	m.request(p, req)
}

// receive takes the next response, if there is one.
func (m *model) receive(p *peerModel) bool {
	message, err := p.next()
	if err != nil {
		m.Fatal(err)
	}
	if message == nil {
		return false
	}
	p.last = new(discoveryv3.DeltaDiscoveryResponse)
	if err := proto.Unmarshal(wireFormat(m.T, message), p.last); err != nil {
		m.Fatal(err)
	}
	for _, r := range p.last.GetResources() {
		if p.names[r.GetName()] || p.wildcard {
			p.has[r.GetName()] = r.GetVersion()
		}
	}
	for _, name := range p.last.GetRemovedResources() {
		delete(p.has, name)
	}
	return true
}

func wireFormat(t *testing.T, m *delta.Message) []byte {
	t.Helper()
	data, err := delta.NewCodec().Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data.Materialize()
}

func (m *model) answer(p *peerModel) {
	req := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeListener, ResponseNonce: p.last.GetNonce()}
	if m.random.IntN(4) == 0 && len(p.last.GetResources()) > 0 {
		req.ErrorDetail = &rpcstatus.Status{Message: p.last.GetResources()[0].GetName() + ": odd"}
	}
	p.last = nil
	m.request(p, req)
}

// wants is what a client should have in the end.
func (m *model) wants(p *peerModel) map[string]string {
	out := map[string]string{}
	for _, r := range m.view.Resources {
		if p.names[r.Name] {
			out[r.Name] = r.Version
		}
	}
	for _, s := range m.view.Scoped {
		if (p.names[s.Resource.Name] || p.wildcard) && s.Match(p.node.Labels) {
			out[s.Resource.Name] = s.Resource.Version
		}
	}
	return out
}

// serves tells whether all of a group exists: the counts of others mean nothing.
func (m *model) serves(g *Group) bool {
	v := m.server.cache.current.Load()
	return !slices.ContainsFunc(g.keys, func(k delta.Key) bool { return v.VersionOf(k) == "" })
}

// counts is what a group should say: all of it worked out from what Sidecars tells.
func (m *model) counts(g *Group) Progress {
	versions, scoped := map[string]string{}, map[string]Scoped{}
	for _, r := range m.view.Resources {
		versions[r.Name] = r.Version
	}
	for _, s := range m.view.Scoped {
		versions[s.Resource.Name], scoped[s.Resource.Name] = s.Resource.Version, s
	}
	var p Progress
	firstError := [2]int{1 << 20, 0}
	for n, sidecar := range m.server.Sidecars() {
		worst := standing(0)
		for i, k := range g.keys {
			at := slices.IndexFunc(sidecar.Resources, func(r ResourceState) bool { return r.Name == k.Name })
			s, isScoped := scoped[k.Name]
			switch {
			case at < 0 && isScoped && s.Match(sidecar.Node.Labels):
				worst = max(worst, standsPending)
			case at < 0:
			case sidecar.Resources[at].Version != versions[k.Name]:
				worst = max(worst, standsPending)
			case sidecar.Resources[at].State == Nacked:
				worst = max(worst, standsRejected)
				if here := [2]int{i, n}; slices.Compare(here[:], firstError[:]) < 0 {
					firstError, p.LastError = here, sidecar.Resources[at].Error
				}
			case sidecar.Resources[at].State == Acked:
				worst = max(worst, standsAcked)
			default:
				worst = max(worst, standsPending)
			}
		}
		switch worst {
		case standsAcked:
			p.Acked++
		case standsPending:
			p.Pending++
		case standsRejected:
			p.Rejected++
		}
	}
	return p
}

// Streams that are told of changes alone end up with what they ask for, and groups whose
// counts are kept count what counting everything would: for named resources and scoped
// ones, with and without the wildcard, also when only a selector changes, when a
// subscription changes in between, and when a client comes back, refuses or leaves.
func TestChangesAloneLeadToTheSameAsLookingAtAll(t *testing.T) {
	t.Parallel()
	for round := range 150 {
		m := &model{T: t, random: rand.New(rand.NewPCG(5, uint64(round)))} //nolint:gosec // repeatable
		m.server = New(Options{Now: func() time.Time { return time.Unix(1, 0) }})
		m.update()
		for step := range 60 {
			m.step(step)
			for _, g := range m.view.Groups {
				if got, want := g.Progress(), m.counts(g); m.serves(g) && got != want {
					t.Fatalf("round %d, step %d: group %v has %+v, want %+v", round, step, g.keys, got, want)
				}
			}
		}
		for _, p := range m.peers {
			if p.last != nil {
				m.answer(p)
			}
			for m.receive(p) {
				m.answer(p)
			}
			if want := m.wants(p); !maps.Equal(p.has, want) {
				t.Fatalf("round %d: %s has %v, want %v", round, p.node.ID, p.has, want)
			}
		}
		for _, p := range m.peers {
			p.close()
		}
		if n := len(m.server.cache.users) + len(m.server.cache.nodes); n > 0 {
			t.Fatalf("round %d: %d entries of the index are left", round, n)
		}
		m.server.Close()
	}
}

// step does one thing.
func (m *model) step(n int) {
	if len(m.peers) == 0 || m.random.IntN(10) == 0 {
		m.peers = append(m.peers, m.enter(n))
	}
	i := m.random.IntN(len(m.peers))
	p := m.peers[i]
	switch m.random.IntN(8) {
	case 0, 1:
		m.update()
	case 2:
		m.subscribe(p)
	case 3:
		if m.random.IntN(4) == 0 {
			p.close()
			m.peers = slices.Delete(m.peers, i, i+1)
		}
	default:
		if p.last != nil {
			m.answer(p)
		} else {
			m.receive(p)
		}
	}
}
