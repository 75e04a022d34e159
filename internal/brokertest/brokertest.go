package brokertest

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
)

// Harness describes the drivers under test. Its functions are called from parallel
// subtests.
type Harness struct {
	// Name is the driver's, as the last line prints it.
	Name string
	// New returns a driver whose Run has been started, and ends that by t.Cleanup. All
	// are on one broker.
	New func(t *testing.T) broker.Driver
	// QueueType is what subscriptions ask for; "" leaves it to the broker.
	QueueType string
	// Interrupt ends every flow of d, which can go on at once. nil means that it cannot be
	// done.
	Interrupt func(t *testing.T, d broker.Driver)
	// Strange publishes a message that is no event to a topic, by other means. nil means
	// that the broker has nothing but events.
	Strange func(t *testing.T, d broker.Driver, to *mesh.Destination, body []byte)
	// Delete removes at the end of a behaviour what a subscription left on the broker. nil
	// means that it goes with the broker.
	Delete func(t *testing.T, s *mesh.Subscription)
}

// behaviour is one thing every driver does, if it has what that needs.
type behaviour struct {
	name  string // a sentence
	needs func(h *Harness, d broker.Driver) bool
	run   func(r *rig)
}

// Needs of behaviours.
func keyOrder(_ *Harness, d broker.Driver) bool  { _, ok := d.(broker.KeyOrder); return ok }
func letters(_ *Harness, d broker.Driver) bool   { _, ok := d.(broker.Letters); return ok }
func watcher(_ *Harness, d broker.Driver) bool   { _, ok := d.(broker.Watcher); return ok }
func interrupt(h *Harness, _ broker.Driver) bool { return h.Interrupt != nil }
func strange(h *Harness, d broker.Driver) bool   { return h.Strange != nil && letters(h, d) }

// Run runs every behaviour that the harness and its drivers allow, in parallel, and prints
// how many passed.
func Run(t *testing.T, h Harness) {
	t.Helper()
	var passed atomic.Int64
	var server atomic.Pointer[string]
	t.Run("behaviours", func(t *testing.T) {
		for _, group := range [][]behaviour{events, batches, outcomes, objects, buried, ordered} {
			for _, b := range group {
				t.Run(b.name, func(t *testing.T) {
					t.Parallel()
					r := newRig(t, &h)
					if b.needs != nil && !b.needs(&h, r.driver) {
						t.Logf("not run, the driver or its harness cannot: %s", b.name)
						return
					}
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
	version := "unknown"
	if name := server.Load(); name != nil {
		if words := strings.Fields(*name); len(words) > 0 {
			version = words[len(words)-1]
		}
	}
	line := fmt.Sprintf("brokertest: %s %s: %d behaviours", h.Name, version, passed.Load())
	t.Log(line)
	_, _ = fmt.Fprintln(os.Stdout, line)
}
