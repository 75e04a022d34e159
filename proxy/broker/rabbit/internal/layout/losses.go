package layout

import (
	"log/slog"
	"sync/atomic"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/fault"
)

// losses are queues that this node declared and that went without it: somebody deleted
// them, or a policy with expires did because nobody used them, or the broker lost its
// data. RabbitMQ tells only those who consume a queue, and dead-letters nothing of what
// was in it; so each declaration asks first whether there is something to declare again.
type losses struct {
	// Set at construction.
	log    *slog.Logger
	memory *memory

	count atomic.Uint64
}

// Gone is how many queues were found missing.
func (o *Objects) Gone() uint64 { return o.losses.count.Load() }

// look counts and tells it if q was declared before and is gone.
func (l *losses) look(d *declarer, q queueing.Queue) {
	if !l.memory.HasQueue(q.Name) || fault.KindOf(d.find(q.Name)) != broker.NotFound {
		return
	}
	l.count.Add(1)
	l.log.Warn("a queue is gone, and what was in it: it was deleted, or expired by a policy; it is declared again",
		"broker_node", d.session.Options.Address, "queue", q.Name)
}
