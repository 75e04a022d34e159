package pool

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/balance"
	"github.com/warrenmesh/warren/proxy/broker"
)

// Pick chooses a node to publish to; tried are drivers an earlier try of the same
// event went to.
func (p *Pool) Pick(name mesh.Name, tried []broker.Driver) (broker.Driver, error) {
	e, ok := (*p.view.Load())[name]
	if !ok || len(e.nodes) == 0 {
		return nil, unknownBroker(name)
	}
	return e.pick(&e.publishTurn, func(n *node) balance.Candidate {
		s := n.driver.State()
		return balance.Candidate{
			Priority: n.priority, Local: n.local, Avoided: p.avoids(n),
			Up: s.Publishing, Blocked: s.Blocked && !s.Publishing, Tried: slices.Contains(tried, n.driver),
		}
	}), nil
}

// PickConsumer chooses a node to consume from.
func (p *Pool) PickConsumer(name mesh.Name) (broker.Driver, error) {
	e, ok := (*p.view.Load())[name]
	if !ok || len(e.nodes) == 0 {
		return nil, unknownBroker(name)
	}
	return e.pick(&e.consumeTurn, func(n *node) balance.Candidate {
		return balance.Candidate{Priority: n.priority, Local: n.local, Avoided: p.avoids(n), Up: n.driver.State().Consuming}
	}), nil
}

// Settled tells what became of a publish on a driver that Pick chose: err is nil when
// it was confirmed, else a failure that speaks against the node. A node that fails
// one publish after the other is avoided for a while, as long as there are others.
func (p *Pool) Settled(name mesh.Name, driver broker.Driver, err error) {
	e, ok := (*p.view.Load())[name]
	if !ok || len(e.nodes) < 2 {
		return
	}
	i := slices.IndexFunc(e.nodes, func(n *node) bool { return n.driver == driver })
	switch {
	case i < 0: // it is not in the configuration any more
	case err == nil:
		e.nodes[i].outlier.Succeeded()
	default:
		if d := e.nodes[i].outlier.Failed(time.Since(p.began)); d > 0 {
			e.nodes[i].log.Warn("broker node is avoided", "period", d.String(), "error", err)
		}
	}
}

// avoids spares the clock as long as n was never avoided.
func (p *Pool) avoids(n *node) bool {
	return n.outlier.MayAvoid() && n.outlier.Avoid(time.Since(p.began))
}

// pick chooses among the nodes, of which there is at least one.
func (e *entry) pick(turn *atomic.Uint32, candidate func(*node) balance.Candidate) broker.Driver {
	if len(e.nodes) == 1 {
		return e.nodes[0].driver
	}
	var space [8]balance.Candidate // enough for most clusters, without an allocation
	candidates := space[:0]
	for _, n := range e.nodes {
		candidates = append(candidates, candidate(n))
	}
	return e.nodes[balance.PickNode(candidates, turn.Add(1))].driver
}

func unknownBroker(name mesh.Name) error {
	return &broker.Error{Kind: broker.Unavailable, Op: fmt.Sprintf("use broker %q", name), Err: errors.New("it has no node this sidecar can use")}
}
