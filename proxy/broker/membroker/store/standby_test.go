package store_test

import (
	"testing"

	"github.com/warrenmesh/warren/proxy/broker/membroker/store"
)

// hasTurn reports whether it is the consumer's turn.
func hasTurn(c *store.Consumer) bool {
	select {
	case <-c.Turn():
		return true
	default:
		return false
	}
}

func TestAConsumerThatLeftBeforeItJoinedTakesNoPlace(t *testing.T) {
	t.Parallel()
	q := store.New(store.Options{Name: "q", Single: true})
	gone, next := store.NewConsumer(), store.NewConsumer()
	q.Leave(gone)
	q.Join(gone)
	q.Join(next)
	if hasTurn(gone) || !hasTurn(next) || q.Consumers() != 1 {
		t.Errorf("turns: %t and %t, with %d consumers; want the second one's, alone", hasTurn(gone), hasTurn(next), q.Consumers())
	}
	q.Leave(next)
	if q.Consumers() != 0 {
		t.Errorf("%d consumers are left", q.Consumers())
	}
}
