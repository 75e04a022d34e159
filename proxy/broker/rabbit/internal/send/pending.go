package send

import (
	"hash/maphash"
	"sync/atomic"

	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/envelope"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/fault"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/frame"
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
	hash        uint64 // of id
	mandatory   bool
	shard       uint32 // of its partition
	size        int64  // of its data
	headerBytes int

	// Owned by whoever writes until written, by the confirmer after.
	from, to int    // where its frames are in its run's
	rest     []byte // the body, if it is not among the frames
	copy     int64  // not 0 when the same event is in flight already

	// Guarded by the mutex of the ring it is in.
	written   int64 // when, in nanoseconds since the channel was opened
	confirmed bool
	acked     bool

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
	p.rest, p.key = nil, "" // it may be kept for long; what it published need not be
	p.stage.Store(finished)
	return mine
}

// answer reports whether the outcome is the caller's to tell.
func (p *pending) answer() bool { return p.answered.CompareAndSwap(false, true) }

// encode appends the AMQP form of m to the frames of p's batch.
func (p *pending) encode(m *queueing.Message, l *envelope.Limits, frameSize int) error {
	p.exchange, p.key, p.mandatory, p.shard = m.Exchange, m.RoutingKey, m.Mandatory, shardOf(m)
	b := p.batch
	properties, id, body, err := envelope.Encode(m, l, b.space.fields)
	if err != nil {
		return err
	}
	p.id, p.hash = id, maphash.String(seed, id)
	p.size, p.headerBytes = int64(len(body)), properties.Headers.Size()
	if p.headerBytes > frameSize-frameOverhead {
		return p.tooManyHeaders(frameSize - frameOverhead)
	}
	p.from = len(b.frames)
	b.frames, p.rest = frame.AppendPublish(b.frames, p.exchange, p.key, p.mandatory, &properties, body, frameSize)
	p.to = len(b.frames)
	if m.Of == nil { // a copy's may be its message's
		b.space.fields = properties.Headers.Fields
	}
	return nil
}

var seed = maphash.MakeSeed()
