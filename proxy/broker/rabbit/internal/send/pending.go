package send

import (
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/envelope"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/fault"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

// pending is a publish from its encoding to its outcome.
//
//	fresh ──▶ queued ──▶ written ──▶ decided
//	             └─────▶ abandoned (its context ended, or an alarm came, first; it is never written)
type pending struct {
	// Set at construction.
	batch       *batch
	number      int // in its batch
	exchange    string
	key         string
	id          string // of the event; "" for a copy of what is none, or is one of another form
	mandatory   bool
	shard       uint32 // of its partition
	size        int64  // of its data
	headerBytes int

	// Owned by the writer until written, by the confirmer after.
	properties message.Properties
	body       []byte
	copy       int64 // not 0 when the same event is in flight already
	confirmed  confirmation
	written    time.Time

	stage    atomic.Int32
	answered atomic.Bool // its outcome has been told, or is by whoever set it
}

// The stages of a pending.
const (
	fresh     int32 = iota // in the hands of Publish
	queued                 // to the writer
	taken                  // by the writer
	abandoned              // nobody waits for it to be written
	finished               // the broker's answer is known, or there is none to come
)

func (p *pending) op() string { return fault.PublishOp(p.exchange) }

// abandon keeps the writer from p; false means that the writer has it, or Publish.
func (p *pending) abandon() bool { return p.stage.CompareAndSwap(queued, abandoned) }

// take gives the message to the writer; false means that nobody waits any more.
func (p *pending) take() bool { return p.stage.CompareAndSwap(queued, taken) }

// finish ends p with an outcome, and reports whether that is to be told: it was not, when
// the context ended before.
func (p *pending) finish() bool {
	mine := p.answer()
	p.properties, p.body, p.key = message.Properties{}, nil, "" // it may be kept for long; the data need not be
	p.stage.Store(finished)
	return mine
}

// answer reports whether the outcome is the caller's to tell.
func (p *pending) answer() bool { return p.answered.CompareAndSwap(false, true) }

// decided reports whether the broker's answer is known.
func (p *pending) decided() bool { return p.stage.Load() == finished }

// encode makes p the AMQP form of m.
func (p *pending) encode(m *queueing.Message, l *envelope.Limits) (err error) {
	p.exchange, p.key, p.mandatory, p.shard = m.Exchange, m.RoutingKey, m.Mandatory, shardOf(m)
	if p.properties, p.id, p.body, err = envelope.Encode(m, l); err != nil {
		return err
	}
	p.size, p.headerBytes = int64(len(p.body)), p.properties.Headers.Size()
	return nil
}
