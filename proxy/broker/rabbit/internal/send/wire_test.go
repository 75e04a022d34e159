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
		w := &frameWire{first: 1}
		n := 1 + r.IntN(50)
		all := make([]*frameConfirm, n)
		for i := range all {
			all[i] = &frameConfirm{done: make(chan struct{})}
			w.open = append(w.open, all[i])
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
		for i, c := range all {
			got := ""
			select {
			case <-c.done:
				got = fmt.Sprint(c.acked)
			default:
			}
			if got != want[i] {
				t.Fatalf("publish %d of %d: %q, want %q", i+1, n, got, want[i])
			}
		}
		w.fail()
		for i, c := range all {
			if <-c.done; want[i] == "" && c.acked {
				t.Fatalf("publish %d was confirmed by the end of its channel", i+1)
			}
		}
	}
}
