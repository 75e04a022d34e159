package rabbit

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/message"
)

// pending is a publish from its encoding to its outcome. It is the receipt.
//
//	queued ──▶ written ──▶ settled
//	   └─────▶ abandoned (its context ended, or an alarm came, first; it is never written)
type pending struct {
	// Set at construction.
	exchange    string
	key         string
	id          string // of the event; "" for a copy of what is none, or is one of another form
	mandatory   bool
	shard       uint32 // of its partition
	size        int64  // of its data
	headerBytes int

	alarm *alarm // of the channel that accepted it

	// Owned by the writer until written, by the settler after.
	properties message.Properties
	body       []byte
	copy       int64 // not 0 when the same event is in flight already
	confirmed  confirmation
	written    time.Time

	stage atomic.Int32
	done  chan struct{} // closed when err is set
	err   error
}

// The stages of a pending.
const (
	queued int32 = iota
	taken        // by the writer
	abandoned
	finished
)

func (p *pending) op() string { return publishOp(p.exchange) }

// Wait implements broker.Receipt. If ctx ends while the message still waits for
// the writer, the error is of kind WindowFull with outcome NotSent; if the broker
// raises an alarm meanwhile, Blocked.
func (p *pending) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	default:
	}
	blocked := p.alarm.signal()
	for {
		select {
		case <-p.done:
			return p.err
		case <-blocked:
			if p.abandon() {
				return notSent(broker.Blocked, p.op(), errBlocked)
			}
			blocked = nil // it is on its way
		case <-ctx.Done():
			if p.abandon() {
				return notSent(broker.WindowFull, p.op(), context.Cause(ctx))
			}
			return &broker.Error{Kind: broker.ConfirmTimeout, Outcome: broker.Unknown, Op: p.op(), Err: context.Cause(ctx)}
		}
	}
}

// abandon keeps the writer from p; false means that the writer has it.
func (p *pending) abandon() bool { return p.stage.CompareAndSwap(queued, abandoned) }

// take gives the message to the writer; false means that nobody waits any more.
func (p *pending) take() bool { return p.stage.CompareAndSwap(queued, taken) }

// finish sets the outcome.
func (p *pending) finish(err error) {
	p.err = err
	p.properties, p.body = message.Properties{}, nil // receipts may be kept for long; the data need not be
	p.stage.Store(finished)
	close(p.done)
}

// settled reports whether the outcome is known.
func (p *pending) settled() bool { return p.stage.Load() == finished }
