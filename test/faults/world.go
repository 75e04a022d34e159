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

// World is the environment of a scenario: the cluster, the links in front of its nodes,
// the mesh, the sidecars, the load and the history. Its methods fail the trial.
type World struct {
	*trial
	report   func(line string)
	dir      string // the rig's directory
	Scenario Scenario
	Recorder *history.Recorder
	Members  []*localbroker.Member
	Links    []*toxic.Link // in front of the members; none when the sidecars dial them directly
	Mesh     *product.Mesh
	Load     *load.Group

	programs  product.Programs
	namespace string
	vhost     string
	declared  declared
	scale     float64 // of the load's rate
	seed      uint64
	slow      float64 // factor of the time bounds
	short     bool
	race      bool // the programs have the race detector: their memory is not judged
	plane     *product.Process
	planeAt   string // the control plane's address for sidecars; "" means its own
	checkout  *service
	billing   *service

	mu          sync.Mutex // guards the rest
	faults      int        // injected
	services    []*service
	subscribers []*load.Subscriber
}

// setup describes how the world of a scenario begins.
type setup struct {
	declared
	// links is the number of links that lead to every node, each a network path of its
	// own. 0 means that the sidecars dial the nodes directly.
	links int
	// files are more files with declared objects, by name.
	files map[string]string
	// idle starts no load.
	idle bool
	// load changes the standard load.
	load func(*mix)
	// between starts a proxy between the sidecars and the control plane. It gets the
	// address of the control plane and returns the address of the proxy.
	between func(plane string) string
	// env is added to the sidecars' environment.
	env []string
}

// start builds the world: a vhost, the declared objects, control plane and sidecars,
// subscribers, and the load. It returns when events flow.
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
	w.startSampling() // now, under load, as after the fault
	w.keep(8 * samplePeriod)
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

// busiest is the link with the most sent bytes.
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

// declare writes the declared objects as they are now.
func (w *World) declare() { w.Mesh.Write("faults.yaml", w.declared.yaml(w.namespace)) }

// subscriptions lists the full names of the declared subscriptions.
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

// keep waits while everything continues.
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

// await polls until ok. It fails the trial when that takes longer than patience.
func (w *World) await(what string, patience time.Duration, ok func() bool) {
	w.Helper()
	if !w.within(patience, ok) {
		w.Fatalf("not within %v: %s", patience, what)
	}
}

// within polls until ok, and reports whether it was in time.
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

// call evaluates Erlang on the first running member.
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

// createVhost creates the vhost and returns when it runs on every node. A node that was
// booting while the vhost was created would never run it, and would refuse its clients.
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

// deleteVhost deletes a vhost with its contents, if it exists.
func (w *World) deleteVhost(name string) {
	w.Helper()
	w.call(`case rabbit_vhost:exists(<<"%[1]s">>) of true -> rabbit_vhost:delete(<<"%[1]s">>, <<"rig">>); false -> ok end.`, name)
}
