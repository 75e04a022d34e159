// Package queueingtest is the conformance suite every queueing.Driver passes.
//
// It owns the behaviours, one subtest each, named as a sentence; they are the
// contract of package queueing in executable form. It does not start brokers: a
// driver's own test describes in a Harness how to get a running driver and how to
// hurt it. The suite runs all behaviours in parallel, on names that are unique in
// each, so it can share a broker with anything else, and many runs can overlap.
//
//	func TestConformance(t *testing.T) {
//		t.Parallel()
//		queueingtest.Run(t, queueingtest.Harness{
//			Name: "rabbit",
//			Caps: mesh.RabbitMQ.Capabilities(),
//			New:  newDriver, // runs until the test ends
//		})
//	}
//
// Run ends with one line, in the test's log and on standard output, with the
// number of behaviours that ran and passed, and the version State.Server ends with:
//
//	queueingtest: rabbit 3.10.8: 60 behaviours
//
// # Drivers on a network
//
// A Proxy between driver and broker gives Interrupt and HoldConfirms at no cost:
// New starts a Proxy per driver and dials its Addr; Interrupt calls Proxy.Cut,
// HoldConfirms calls Proxy.HoldReplies. A driver wrapped with its proxy in one
// struct finds it again by a type assertion:
//
//	type proxied struct {
//		*rabbit.Driver
//		proxy *queueingtest.Proxy
//	}
//
//	Interrupt: func(t *testing.T, d queueing.Driver) { d.(proxied).proxy.Cut() },
//
// Alone must not hurt the broker other tests share. For RabbitMQ it starts a private
// node with internal/localbroker, lets Supervise bring it back, and kills it.
//
// The suite finds the broker the driver's own test was given (for RabbitMQ the
// variable AMQP_URL, which test/withbroker sets); without one that test fails, it
// does not skip. A hook that is nil leaves out the behaviours that need it, with a
// line in the log, and they are not counted.
package queueingtest

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// Harness describes the drivers under test. Its functions are called from
// parallel subtests.
type Harness struct {
	// Name is the driver's, as the last line prints it: "rabbit", "membroker".
	Name string
	// Caps is what the driver claims; everything true is proven.
	Caps mesh.Capabilities
	// Delays says that the broker at hand has what Caps.Delays promises for newer ones.
	Delays bool
	// MaxDataBytes is the largest data the drivers from New accept. 0 means 16 MiB.
	MaxDataBytes int

	// New returns a driver whose Run has been started and that is Publishing soon.
	// It stops it by t.Cleanup. Calls may share one broker.
	New func(t *testing.T) queueing.Driver
	// Join returns another running driver on the broker of d. nil means that New
	// does that anyway.
	Join func(t *testing.T, d queueing.Driver) queueing.Driver
	// Interrupt cuts every connection of d; it can connect again at once. nil means
	// that it cannot be done.
	Interrupt func(t *testing.T, d queueing.Driver)
	// HoldConfirms keeps the broker's answers from d until release is called, while
	// publishes still reach the broker. Heartbeats may stop too; the suite releases
	// within a few seconds. nil means that it cannot be done.
	HoldConfirms func(t *testing.T, d queueing.Driver) (release func())
	// Alone returns a running driver on a broker that nobody else uses, and a
	// function that ends that broker's process without warning and sees to it that it
	// starts again on the same data. nil means that it cannot be done, and then Caps.Durable stays
	// unproven.
	Alone func(t *testing.T) (d queueing.Driver, restart func())
	// Delete removes the exchanges and queues of topology at the end of a behaviour.
	// Objects may be missing. nil means that they go with the driver.
	Delete func(t *testing.T, d queueing.Driver, topology queueing.Topology)
}

// behaviour is one thing every driver does.
type behaviour struct {
	name  string                // a sentence
	needs func(h *Harness) bool // nil: it runs on every driver
	alone bool                  // on a driver from Alone
	run   func(r *rig)
}

// Needs of behaviours.
var (
	interrupt  = func(h *Harness) bool { return h.Interrupt != nil }
	hold       = func(h *Harness) bool { return h.HoldConfirms != nil }
	holdAndCut = func(h *Harness) bool { return h.HoldConfirms != nil && h.Interrupt != nil }
	delays     = func(h *Harness) bool { return h.Caps.Delays && h.Delays }
	// Where nothing can be deleted, nothing needs to be declared again.
	deleteAndCut = func(h *Harness) bool { return h.Delete != nil && h.Interrupt != nil }
)

// Run runs every behaviour the harness allows, in parallel, and prints how many
// passed.
func Run(t *testing.T, h Harness) {
	t.Helper()
	h.MaxDataBytes = cmp.Or(h.MaxDataBytes, 16<<20)
	var passed atomic.Int64
	var server atomic.Pointer[string]
	t.Run("behaviours", func(t *testing.T) {
		for _, group := range [][]behaviour{publishing, windows, consuming, settling, partitioning, standby, carrying, letters, declaring, routing, interruptions} {
			for _, b := range group {
				if b.needs != nil && !b.needs(&h) {
					t.Logf("not run, the harness cannot: %s", b.name)
					continue
				}
				t.Run(b.name, func(t *testing.T) {
					t.Parallel()
					r := newRig(t, &h, b.alone)
					name := r.driver.State().Server
					server.Store(&name)
					b.run(r)
					if !t.Failed() {
						passed.Add(1)
					}
				})
			}
		}
	})
	line := fmt.Sprintf("queueingtest: %s %s: %d behaviours", h.Name, version(server.Load()), passed.Load())
	t.Log(line)
	_, _ = fmt.Fprintln(os.Stdout, line)
}

// version returns the last word of a server's name, "unknown" when it has none.
func version(server *string) string {
	if server == nil || *server == "" {
		return "unknown"
	}
	words := strings.Fields(*server)
	return words[len(words)-1]
}
