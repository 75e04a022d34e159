package e2e

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

func TestTheLedgerSeesWhatIsOutOfOrder(t *testing.T) {
	t.Parallel()
	for ids, want := range map[string]int{
		"a/0 b/0 a/1 b/1":     0, // each in order
		"a/0 a/0 a/1":         0, // with a retry
		"a/0 a/1 a/2 a/1 a/2": 0, // again from the event that was unsettled when the sidecar was killed
		"a/1 a/0":             1, // one event overtook another
		"a/0 a/2":             1, // one is lost or late
		"a/0 a/1 a/0 a/2":     1, // again, with one missing
		"a/x":                 1,
	} {
		l := newLedger()
		for _, id := range strings.Fields(ids) {
			l.note("it", id)
		}
		if violations, _ := l.verdict(); len(violations) != want {
			t.Errorf("%s: got %q, want %d violations", ids, violations, want)
		}
	}
}

// ledger records the deliveries of all receivers in the order in which they came. An
// event is recorded before it is acknowledged, and so before the next event of its key
// can be delivered.
type ledger struct {
	mu         sync.Mutex
	last       map[string]int // number of the last delivered event, by key
	acked      map[string]bool
	again      int
	violations []string
}

func newLedger() *ledger { return &ledger{last: map[string]int{}, acked: map[string]bool{}} }

// note records a delivery. After event n of a key comes n again, or n+1. When a sidecar
// was killed, acknowledged events may come again, and then the events after them come
// again in order. mu is held.
func (l *ledger) note(by, id string) {
	name, number, _ := strings.Cut(id, "/")
	n, err := strconv.Atoi(number)
	last, seen := l.last[name]
	if !seen {
		last = -1
	}
	switch {
	case err != nil:
		l.violations = append(l.violations, fmt.Sprintf("%s received %q, which nobody sent", by, id))
	case n > last+1:
		l.violations = append(l.violations, fmt.Sprintf("%s received event %d of %s after event %d", by, n, name, last))
	case n <= last:
		l.again++
	}
	l.last[name] = n
}

func (l *ledger) verdict() (violations []string, again int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.violations), l.again
}

// complete returns nil when the first n events of every key are acknowledged.
func (l *ledger) complete(n int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range keys {
		for j := range n {
			if id := numbered(key(i), j).GetId(); !l.acked[id] {
				return fmt.Errorf("%s is not, nor any after it; %d are", id, len(l.acked))
			}
		}
	}
	return nil
}

// receiver records the deliveries of one sidecar.
type receiver struct {
	ledger *ledger
	name   string
	stream *stream

	// Guarded by ledger.mu.
	received, open  int
	holds, abandons bool
}

// receive opens a stream and settles its deliveries until the stream ends. Every
// seventh event of a key is retried once.
func (l *ledger) receive(s *service, name string) *receiver {
	s.rig.Helper()
	rec := &receiver{ledger: l, name: name, stream: s.subscribe("billing")}
	var running sync.WaitGroup
	running.Go(rec.run)
	s.rig.Cleanup(func() {
		rec.stream.close()
		running.Wait()
	})
	return rec
}

func (rec *receiver) run() {
	for {
		res, err := rec.stream.Recv()
		if err != nil {
			return // closed, or the sidecar was killed
		}
		var settlements []*eventsv1.Settlement
		for _, d := range res.GetDeliveries().GetDeliveries() {
			if outcome, ok := rec.take(d); ok {
				settlements = append(settlements, &eventsv1.Settlement{Token: d.GetToken(), Outcome: outcome})
			}
		}
		if len(settlements) > 0 {
			_ = rec.stream.Send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Settle{
				Settle: &eventsv1.SubscribeSettle{Settlements: settlements},
			}})
		}
	}
}

// take decides the outcome of a delivery. It returns false when the delivery is not
// settled.
func (rec *receiver) take(d *eventsv1.Delivery) (eventsv1.Outcome, bool) {
	l := rec.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if rec.abandons {
		return 0, false
	}
	id := d.GetEvent().GetId()
	l.note(rec.name, id)
	rec.received++
	if rec.holds {
		rec.open++
		return 0, false
	}
	if strings.HasSuffix(id, "7") && d.GetAttempt() == 1 && !l.acked[id] {
		return eventsv1.Outcome_OUTCOME_RETRY, true
	}
	l.acked[id] = true
	return eventsv1.Outcome_OUTCOME_ACK, true
}

func (rec *receiver) locked(f func()) {
	rec.ledger.mu.Lock()
	defer rec.ledger.mu.Unlock()
	f()
}

func (rec *receiver) count() (n int) { rec.locked(func() { n = rec.received }); return n }

// hold stops settling; unsettled counts the deliveries since.
func (rec *receiver) hold() { rec.locked(func() { rec.holds = true }) }

func (rec *receiver) unsettled() (n int) { rec.locked(func() { n = rec.open }); return n }

// abandon stops recording. After a sidecar is killed, deliveries still in transit here
// are delivered to others.
func (rec *receiver) abandon() { rec.locked(func() { rec.abandons = true }) }
