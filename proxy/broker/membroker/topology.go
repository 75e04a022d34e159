package membroker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/membroker/store"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// exchangeKinds are the exchange types the broker routes by.
var exchangeKinds = []string{"direct", "fanout", "topic"}

// EnsureTopology implements queueing.Driver. The whole of t is checked before any of
// it is declared. What it declares lives as long as the Broker, so nothing has to
// be remembered for reconnects.
func (n *Node) EnsureTopology(ctx context.Context, t queueing.Topology) error {
	if t.Policy == mesh.Ignore {
		return nil
	}
	if n.awaitSession(ctx) == nil {
		return &broker.Error{Kind: broker.Unavailable, Op: "ensure topology", Err: ctx.Err()}
	}
	b := n.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.check(t); err != nil {
		return err
	}
	if t.Policy != mesh.Verify {
		b.declare(t)
	}
	return nil
}

// check returns every problem of t. The caller holds b.mu.
func (b *Broker) check(t queueing.Topology) error {
	var problems []error
	mustExist := t.Policy == mesh.Verify
	if mustExist {
		t.Bindings = nil // those are their owner's
	}
	exchanges, queues := map[string]bool{}, map[string]bool{}
	for _, x := range t.Exchanges {
		exchanges[x.Name] = true
		problems = append(problems, checkExchange(b.exchanges[x.Name], x, mustExist))
	}
	for _, q := range t.Queues {
		queues[q.Name] = true
		problems = append(problems, checkQueue(b.queues[q.Name], q, mustExist))
	}
	for _, bound := range t.Bindings {
		op := fmt.Sprintf("bind queue %q to exchange %q", bound.Queue, bound.Exchange)
		if !exchanges[bound.Exchange] && b.exchanges[bound.Exchange] == nil {
			problems = append(problems, notFound(op, "the exchange does not exist"))
		}
		if !queues[bound.Queue] && b.queues[bound.Queue] == nil {
			problems = append(problems, notFound(op, "the queue does not exist"))
		}
	}
	for _, p := range t.Partitioners {
		exchange := exchanges[p.Exchange] || b.exchanges[p.Exchange] != nil
		there := func(q string) bool { return queues[q] || b.queues[q] != nil }
		problems = append(problems, checkPartitioner(b.exchanges[p.Name], p, exchange, there, mustExist))
	}
	return errors.Join(problems...)
}

func checkExchange(have *exchange, want mesh.Exchange, mustExist bool) error {
	op := fmt.Sprintf("%s exchange %q", verb(mustExist), want.Name)
	switch {
	case !slices.Contains(exchangeKinds, want.Type):
		return &broker.Error{Kind: broker.Invalid, Op: op, Err: fmt.Errorf("exchange type %q: want topic, direct or fanout", want.Type)}
	case have == nil && mustExist:
		return notFound(op, "declare an exchange of type "+want.Type+" with this name, or let Warren do it with topology Manage")
	case have != nil && have.kind != want.Type:
		return conflict(op, "type", have.kind, want.Type)
	default:
		return nil
	}
}

func checkQueue(have *store.Queue, want queueing.Queue, mustExist bool) error {
	op := fmt.Sprintf("%s queue %q", verb(mustExist), want.Name)
	switch {
	case want.Name == "":
		return &broker.Error{Kind: broker.Invalid, Op: op, Err: errors.New("a queue needs a name")}
	case want.Delay > 0 && want.Forward == "":
		return &broker.Error{Kind: broker.Invalid, Op: op, Err: errors.New("a queue with a delay needs a queue to forward to")}
	case have == nil && mustExist:
		return notFound(op, "declare a queue with this name, or let Warren do it with topology Manage")
	case have == nil:
		return nil
	case have.Kind != want.Type:
		return conflict(op, "type", have.Kind, want.Type)
	case have.Delay != want.Delay:
		return conflict(op, "delay", have.Delay.String(), want.Delay.String())
	case have.Forward != want.Forward:
		return conflict(op, "next queue", have.Forward, want.Forward)
	case have.Single != want.SingleActive:
		return conflict(op, "single active consumer", strconv.FormatBool(have.Single), strconv.FormatBool(want.SingleActive))
	case have.DeadLetter != want.DeadLetter && have.DeadLetter != "" && want.DeadLetter != "":
		return conflict(op, "dead-letter queue", have.DeadLetter, want.DeadLetter)
	case have.RetryDelay != want.RetryDelay:
		return conflict(op, "delay of retries", have.RetryDelay.String(), want.RetryDelay.String())
	default:
		return nil
	}
}

// declare makes what is missing of t, which check found right. The caller holds
// b.mu.
func (b *Broker) declare(t queueing.Topology) {
	for _, x := range t.Exchanges {
		if b.exchanges[x.Name] == nil {
			b.exchanges[x.Name] = &exchange{name: x.Name, kind: x.Type}
		}
	}
	for _, q := range t.Queues {
		if b.queues[q.Name] == nil {
			b.queues[q.Name] = b.newQueue(q)
		}
	}
	for _, bound := range t.Bindings {
		b.exchanges[bound.Exchange].bind(binding{queue: b.queues[bound.Queue], key: bound.Key})
	}
	b.unbind(t)
	for _, p := range t.Partitioners {
		if b.exchanges[p.Name] == nil {
			b.exchanges[p.Name] = b.newPartitioner(p)
		}
		b.exchanges[p.Exchange].bind(binding{next: b.exchanges[p.Name], key: "#"})
	}
}

// unbind removes what is gone of t. The caller holds b.mu.
func (b *Broker) unbind(t queueing.Topology) {
	for _, gone := range t.Gone {
		if x := b.exchanges[gone.Exchange]; x != nil {
			x.unbind(func(have *binding) bool {
				return have.queue != nil && have.queue.Name == gone.Queue && have.key == gone.Key
			})
		}
	}
	for _, gone := range t.GonePartitioners {
		if x := b.exchanges[gone.Exchange]; x != nil {
			x.unbind(func(have *binding) bool { return have.next != nil && have.next.name == gone.Name })
		}
	}
}

func verb(mustExist bool) string {
	if mustExist {
		return "verify"
	}
	return "declare"
}

func (b *Broker) newQueue(q queueing.Queue) *store.Queue {
	return store.New(store.Options{
		Name: q.Name, Kind: q.Type, Delay: q.Delay, Forward: q.Forward, Single: q.SingleActive,
		RetryDelay: q.RetryDelay, DeadLetter: q.DeadLetter,
		MaxEntries: b.options.MaxQueueLength, MaxBytes: b.options.MaxQueueBytes,
		Find: b.queue, Bury: b.bury, Timers: &b.timers,
	})
}

func notFound(op, reason string) error {
	return &broker.Error{Kind: broker.NotFound, Op: op, Err: errors.New(reason)}
}

func conflict(op, what, have, want string) error {
	return &broker.Error{Kind: broker.Conflict, Op: op, Err: fmt.Errorf("it exists with %s %q, wanted %q", what, have, want)}
}
