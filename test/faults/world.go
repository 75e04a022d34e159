package faults

import (
	"cmp"
	"context"
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

// World is what a scenario acts on: the cluster, the links before its nodes, the
// mesh, the sidecars, the load and the history. Its methods fail the trial.
type World struct {
	*trial
	report   func(line string)
	dir      string // the rig's
	Scenario Scenario
	Recorder *history.Recorder
	Members  []*localbroker.Member
	Links    []*toxic.Link // before the members, none when the sidecars dial them directly
	Mesh     *product.Mesh
	Load     *load.Group

	programs  product.Programs
	namespace string
	vhost     string
	declared  declared
	scale     float64 // of the load's rate
	seed      uint64
	slow      float64 // factor of the bounds of time
	short     bool
	race      bool // the programs look for data races: their memory is not judged
	plane     *product.Process
	planeAt   string // where the sidecars find it, "" for where it is
	checkout  *service
	billing   *service

	mu          sync.Mutex // guards the rest
	faults      int        // injected
	services    []*service
	subscribers []*load.Subscriber
}

// setup says how a scenario's world begins.
type setup struct {
	declared
	// links is how many links, each a path of its own, lead to every node. 0 means
	// that the sidecars dial the nodes themselves.
	links int
	// files are declared beside the rest, by their names.
	files map[string]string
	// idle starts no load.
	idle bool
	// load changes the standard load.
	load func(*mix)
	// between puts something between the sidecars and the control plane, given the
	// address of the latter, and returns its own.
	between func(plane string) string
	// env is added to the sidecars' environment.
	env []string
}

// start builds the world: a vhost, the declared objects, control plane and sidecars,
// subscribers, and the load; it returns when events flow.
func (w *World) start(s setup) {
	w.Helper()
	w.vhost = w.namespace
	w.createVhost()
	s.vhost = w.vhost
	for _, m := range w.Members {
		if s.links == 0 {
			s.nodes = append(s.nodes, m.Address())
		}
		for range s.links {
			s.nodes = append(s.nodes, w.link(m).Addr())
		}
	}
	s.brokerDelay = s.brokerDelay && w.delaysRetries()
	w.declared = s.declared
	w.newMesh()
	for name, text := range s.files {
		w.Mesh.Write(name, text)
	}
	w.declare()
	w.plane = w.Mesh.StartControlPlane()
	if s.between != nil {
		w.planeAt = s.between(w.Mesh.ControlPlane())
	}
	w.checkout = w.service("checkout", s.env...)
	w.billing = w.service(billing, s.env...)
	w.checkout.AwaitReady()
	w.billing.AwaitReady()
	w.Load = load.NewGroup(w.Context())
	w.Cleanup(w.Load.Stop)
	if s.idle {
		w.startSampling()
		return
	}
	m := standard()
	if s.load != nil {
		s.load(&m)
	}
	w.subscribe(m)
	w.publish(m)
	w.awaitOK(100)
	w.startSampling() // now: under load, as after the fault
	w.keep(8 * samplePeriod)
}

// link puts a link before a member.
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

// busiest is the link over which most was sent.
func (w *World) busiest() *toxic.Link {
	return slices.MaxFunc(w.Links, func(a, b *toxic.Link) int {
		x, _ := a.Passed()
		y, _ := b.Passed()
		return cmp.Compare(x, y)
	})
}

func (w *World) newMesh() {
	broker, err := product.NewBroker(strings.TrimSuffix(w.Members[0].URL(), "/") + "/" + w.vhost)
	if err != nil {
		w.Fatal(err)
	}
	w.Mesh = product.NewMesh(w.trial, w.programs, broker)
}

// declare writes what is declared, as it is now.
func (w *World) declare() { w.Mesh.Write("faults.yaml", w.declared.yaml(w.namespace)) }

// subscriptions are the declared ones' full names.
func (w *World) subscriptions() []string {
	var out []string
	for _, s := range w.declared.subscriptions() {
		out = append(out, w.namespace+"/"+s)
	}
	return out
}

// awaitOK waits until n more events than now are confirmed.
func (w *World) awaitOK(n int) {
	w.Helper()
	goal := w.Recorder.Confirmed() + n
	w.await(fmt.Sprintf("%d events are confirmed", goal), time.Minute, func() bool { return w.Recorder.Confirmed() >= goal })
}

// keep lets things go on for a while.
func (w *World) keep(d time.Duration) {
	w.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.Context().Done():
		w.Fatal(w.Context().Err())
	}
}

// await polls until ok, and fails the trial when that takes too long.
func (w *World) await(what string, patience time.Duration, ok func() bool) {
	w.Helper()
	if !w.within(patience, ok) {
		w.Fatalf("not within %v: %s", patience, what)
	}
}

// within polls until ok and reports whether it came in time.
func (w *World) within(patience time.Duration, ok func() bool) bool {
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

// call evaluates Erlang in the first member that runs.
func (w *World) call(format string, args ...any) string {
	w.Helper()
	var reasons []string
	for _, m := range w.Members {
		ctx, cancel := context.WithTimeout(w.Context(), 20*time.Second)
		value, err := m.Call(ctx, fmt.Sprintf(format, args...))
		cancel()
		if err == nil {
			return value
		}
		reasons = append(reasons, err.Error())
	}
	w.Fatal(strings.Join(slices.Compact(reasons), "; "))
	return ""
}

// createVhost returns when the vhost runs on every node. A node that was still booting
// when the vhost was made would never run it, and would refuse clients of the vhost.
func (w *World) createVhost() {
	w.Helper()
	w.call(`rabbit_vhost:add(<<"%[1]s">>, <<"rig">>),
rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"%[1]s">>, <<".*">>, <<".*">>, <<".*">>, <<"rig">>).`, w.vhost)
	w.Cleanup(func() { w.deleteVhost(w.vhost) })
	for _, m := range w.Members {
		w.await("the vhost runs on "+m.Name(), time.Minute, func() bool {
			alive, err := m.Call(w.Context(), fmt.Sprintf(`rabbit_vhost_sup_sup:is_vhost_alive(<<"%s">>).`, w.vhost))
			return err == nil && alive == "true"
		})
	}
}

// deleteVhost removes a vhost with all that is in it, if it is there.
func (w *World) deleteVhost(name string) {
	w.Helper()
	w.call(`case rabbit_vhost:exists(<<"%[1]s">>) of true -> rabbit_vhost:delete(<<"%[1]s">>, <<"rig">>); false -> ok end.`, name)
}
