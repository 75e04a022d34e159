package send

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestConfirmsFindTheirPublishes(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		ring := newRing(1)
		w := &frameWire{ring: ring}
		n := 1 + r.IntN(50)
		all := make([]pending, n)
		for i := range all {
			all[i].stage.Store(queued)
		}
		if added, _, err := ring.add(all, 0); added != n || err != nil {
			t.Fatalf("%d of %d publishes were added (%v)", added, n, err)
		}
		want := make([]string, n) // "" while it is open
		for range 2 * n {
			tag, multiple, ack := r.IntN(n+3), r.IntN(3) == 0, r.IntN(4) > 0
			w.Confirm(uint64(tag), multiple, ack)
			last := tag
			if tag == 0 && multiple {
				last = n
			}
			for i := range want {
				hit := i+1 == last || multiple && i+1 < last
				if last <= n && hit && want[i] == "" {
					want[i] = fmt.Sprint(ack)
				}
			}
		}
		for i := range all {
			got := ""
			if p := &all[i]; p.confirmed {
				got = fmt.Sprint(p.acked)
			}
			if got != want[i] {
				t.Fatalf("publish %d of %d: %q, want %q", i+1, n, got, want[i])
			}
		}
		ring.fail()
		ring.close()
		took := ring.take(nil)
		if len(took) != n || len(ring.take(nil)) != 0 {
			t.Fatalf("%d of %d publishes are decided by the end of their channel", len(took), n)
		}
		for i, p := range took {
			if p != &all[i] || !p.confirmed || want[i] == "" && p.acked {
				t.Fatalf("publish %d was confirmed by the end of its channel, or is in another's place", i+1)
			}
		}
	}
}
