package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/balance"
	"github.com/warrenmesh/warren/proxy/broker"
)

// Node is one node of a broker, claimed for one batch.
type Node interface {
	// Address is host:port; "" in memory.
	Address() string
	// Publish is broker.Publisher's.
	Publish(ctx context.Context, batch []*broker.Message, told broker.Told)
	// Answered is told what became of an event that was published: nil when it was
	// confirmed, else a failure that speaks against the node. A node that fails one event
	// after the other is avoided for a while, as long as there are others. It does not
	// block.
	Answered(err error)
}

// Claim waits within ctx until what key needs is declared on the broker, as Ready does,
// and chooses a node to publish to; tried are those that earlier tries of the same event
// went to. A node that is down is claimed when there is no better one: its driver says
// exactly why.
func (p *Pool) Claim(ctx context.Context, name mesh.Name, key string, tried []Node) (Node, error) {
	e, err := p.ready(ctx, name, key)
	if err != nil {
		return nil, err
	}
	if len(e.nodes) == 0 {
		return nil, unknownBroker(name)
	}
	return e.pick(&e.publishTurn, func(n *node) balance.Candidate {
		s := n.driver.State()
		return balance.Candidate{
			Priority: n.priority, Local: n.local, Avoided: n.avoided(),
			Up: s.Publishing, Blocked: s.Blocked && !s.Publishing, Tried: n.isAmong(tried),
		}
	}), nil
}

// isAmong compares what runs: the same node may be in another configuration by now.
func (n *node) isAmong(tried []Node) bool {
	return slices.ContainsFunc(tried, func(t Node) bool {
		other, ok := t.(*node)
		return ok && other.shared == n.shared
	})
}

// Address implements Node.
func (n *node) Address() string { return n.identity.address }

// Publish implements Node.
func (n *node) Publish(ctx context.Context, batch []*broker.Message, told broker.Told) {
	n.driver.Publish(ctx, batch, told)
}

// Answered implements Node. The only node of its broker is never avoided.
func (n *node) Answered(err error) {
	switch {
	case n.alone:
	case err == nil:
		n.outlier.Succeeded()
	default:
		if d := n.outlier.Failed(time.Since(n.began)); d > 0 {
			n.log.Warn("broker node is avoided", "period", d.String(), "error", err)
		}
	}
}

// PickConsumer chooses a node to consume from.
func (p *Pool) PickConsumer(name mesh.Name) (broker.Driver, error) {
	e, ok := (*p.view.Load())[name]
	if !ok || len(e.nodes) == 0 {
		return nil, unknownBroker(name)
	}
	return e.pick(&e.consumeTurn, func(n *node) balance.Candidate {
		return balance.Candidate{Priority: n.priority, Local: n.local, Avoided: n.avoided(), Up: n.driver.State().Consuming}
	}).driver, nil
}

// avoided spares the clock as long as n was never avoided.
func (n *node) avoided() bool {
	return n.outlier.MayAvoid() && n.outlier.Avoid(time.Since(n.began))
}

// pick chooses among the nodes, of which there is at least one.
func (e *entry) pick(turn *atomic.Uint32, candidate func(*node) balance.Candidate) *node {
	if len(e.nodes) == 1 {
		return e.nodes[0]
	}
	var space [8]balance.Candidate // enough for most clusters, without an allocation
	candidates := space[:0]
	for _, n := range e.nodes {
		candidates = append(candidates, candidate(n))
	}
	return e.nodes[balance.PickNode(candidates, turn.Add(1))]
}

func unknownBroker(name mesh.Name) error {
	return &broker.Error{Kind: broker.Unavailable, Op: fmt.Sprintf("use broker %q", name), Err: errors.New("it has no node this sidecar can use")}
}
