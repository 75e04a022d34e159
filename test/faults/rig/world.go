// Package rig is what a scenario works with: a World of RabbitMQ nodes, network links,
// control plane, sidecars and load, and the ways to disturb and to observe it.
//
//   - scenario.go: a Scenario, its faults with their proofs, and Play, which runs it
//   - trial.go: failing, logging and cleaning up, as testing.T does
//   - world.go: a World, its beginning and its waits
//   - declare.go: the objects that are declared to the control plane
//   - service.go, paths.go: the sidecars, the samples of their memory, and the paths of events
//   - load.go: publishers and subscribers, and events besides the load
//   - node.go, policy.go: what is done to the RabbitMQ nodes and their queues
//   - drain.go: the end of a scenario, until every message is found
//   - expect.go: what must hold, and what the history shows
//
// It imports load, toxic, history and check, and knows no row, no soak and no runner.
package rig

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/warrenmesh/warren/internal/localbroker"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/load"
	"github.com/warrenmesh/warren/test/faults/toxic"
	"github.com/warrenmesh/warren/test/internal/product"
)

// World is the environment of a scenario: the cluster, the links in front of its nodes,
// the mesh, the sidecars, the load and the history. Its methods fail the trial.
type World struct {
	*trial
	Scenario Scenario
	Recorder *history.Recorder
	Members  []*localbroker.Member
	Links    []*toxic.Link // in front of the members; none when the sidecars dial them directly
	Mesh     *product.Mesh
	Load     *load.Group

	// Settings of the place.
	Report   func(line string)
	Dir      string
	Programs product.Programs
	Seed     uint64
	Slow     float64 // factor of the time bounds
	Short    bool
	Race     bool // the programs have the race detector: their memory is not judged

	// Set by Start.
	Namespace string
	VHost     string
	Declared  Declared
	Plane     *product.Process
	Checkout  *Service // the publishers' sidecar
	Billing   *Service // the services' sidecar

	scale   float64 // of the load's rate
	planeAt string  // the control plane's address for sidecars; "" means its own

	mu          sync.Mutex // guards the rest
	faults      int        // injected
	services    []*Service
	restarted   map[string]bool // services whose sidecar was started again
	Subscribers []*load.Subscriber
}

// Setup describes how the world of a scenario begins.
type Setup struct {
	Declared
	// Links is the number of links that lead to every node, each a network path of its
	// own. 0 means that the sidecars dial the nodes directly.
	Links int
	// Files are more files with declared objects, by name.
	Files map[string]string
	// Idle starts no load.
	Idle bool
	// Load changes the standard load.
	Load func(*Mix)
	// Between starts a proxy between the sidecars and the control plane. It gets the
	// address of the control plane and returns the address of the proxy.
	Between func(plane string) string
	// Env is added to the sidecars' environment.
	Env []string
}

// Start builds the world: a vhost, the declared objects, control plane and sidecars,
// subscribers, and the load. It returns when events flow.
func (w *World) Start(s Setup) {
	w.Helper()
	w.VHost = w.Namespace
	w.CreateVHost()
	s.vhost = w.VHost
	for _, m := range w.Members {
		if s.Links == 0 {
			s.nodes = append(s.nodes, m.Address())
		}
		for range s.Links {
			s.nodes = append(s.nodes, w.link(m).Addr())
		}
	}
	s.BrokerDelay = s.BrokerDelay && w.delaysRetries()
	w.Declared = s.Declared
	w.newMesh()
	for name, text := range s.Files {
		w.Mesh.Write(name, text)
	}
	w.Declare()
	w.Plane = w.Mesh.StartControlPlane()
	if s.Between != nil {
		w.planeAt = s.Between(w.Mesh.ControlPlane())
	}
	w.Checkout = w.StartSidecar("checkout", s.Env...)
	w.Billing = w.StartSidecar(Billing, s.Env...)
	w.Checkout.AwaitReady()
	w.Billing.AwaitReady()
	w.Load = load.NewGroup(w.Context())
	w.Cleanup(w.Load.Stop)
	if s.Idle {
		w.startSampling()
		return
	}
	m := Standard()
	if s.Load != nil {
		s.Load(&m)
	}
	w.Subscribe(m)
	w.Publish(m)
	w.AwaitOK(100)
	w.startSampling() // now, under load, as after the fault
	w.Keep(8 * samplePeriod)
}

// link adds a link in front of a member.
func (w *World) link(m *localbroker.Member) *toxic.Link {
	w.Helper()
	link, err := toxic.New().Link(m.Address())
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(link.Close)
	w.Links = append(w.Links, link)
	return link
}

// Busiest is the link with the most sent bytes.
func (w *World) Busiest() *toxic.Link {
	return slices.MaxFunc(w.Links, func(a, b *toxic.Link) int {
		x, _ := a.Passed()
		y, _ := b.Passed()
		return cmp.Compare(x, y)
	})
}

func (w *World) newMesh() {
	broker, err := product.NewBroker(strings.TrimSuffix(w.Members[0].URL(), "/") + "/" + w.VHost)
	if err != nil {
		w.Fatal(err)
	}
	w.Mesh = product.NewMesh(w.trial, w.Programs, broker)
}

// Declare writes the declared objects as they are now.
func (w *World) Declare() { w.Mesh.Write("faults.yaml", w.Declared.yaml(w.Namespace)) }

// Subscriptions lists the full names of the declared subscriptions.
func (w *World) Subscriptions() []string {
	var out []string
	for _, s := range w.Declared.Subscriptions() {
		out = append(out, w.Namespace+"/"+s)
	}
	return out
}

// AwaitOK waits until n more events than now are confirmed.
func (w *World) AwaitOK(n int) {
	w.Helper()
	goal := w.Recorder.Confirmed() + n
	w.Await(fmt.Sprintf("%d events are confirmed", goal), time.Minute, func() bool { return w.Recorder.Confirmed() >= goal })
}

// Keep waits while everything continues.
func (w *World) Keep(d time.Duration) {
	w.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.Context().Done():
		w.Fatal(w.Context().Err())
	}
}

// Await polls until ok. It fails the trial when that takes longer than patience.
func (w *World) Await(what string, patience time.Duration, ok func() bool) {
	w.Helper()
	if !w.Within(patience, ok) {
		w.Fatalf("not within %v: %s", patience, what)
	}
}

// Within polls until ok, and reports whether it was in time.
func (w *World) Within(patience time.Duration, ok func() bool) bool {
	w.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			return false
		}
		select {
		case <-tick.C:
		case <-w.Context().Done():
			w.Fatal(w.Context().Err())
		}
	}
	return true
}

// Cut resets every connection of a link.
func (w *World) Cut(l *toxic.Link) {
	w.Helper()
	if err := l.Cut(); err != nil {
		w.Fatal(err)
	}
}

// Slowly lengthens a time for a busy machine. It lengthens less than the bounds are
// lengthened, because it is a time to wait.
func (w *World) Slowly(d time.Duration) time.Duration {
	return time.Duration(float64(d) * min(w.Slow, 4))
}

// Often is a number of repetitions: full, or short in a short set.
func (w *World) Often(full, short int) int {
	if w.Short {
		return short
	}
	return full
}
