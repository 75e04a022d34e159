package send

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/fault"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

// batch is what one Publish was given, until each of its messages has its outcome.
type batch struct {
	told     broker.Told // nil once every outcome has been told: a pending may be kept for long, the caller's events need not be
	pendings []pending
	one      [1]pending   // the space for a batch of one
	open     atomic.Int64 // messages without an outcome
	release  func() bool  // of the context

	frames []byte // of the messages since the last cut; owned by Publish
	parted bool   // there was a cut
	space  *space
	held   atomic.Int64 // runs that are not written, and Publish: frames are used
}

func newBatch(ctx context.Context, n int, told broker.Told) *batch {
	b := &batch{told: told}
	b.pendings = b.one[:]
	if n != 1 {
		b.pendings = make([]pending, n)
	}
	for i := range b.pendings {
		b.pendings[i].batch, b.pendings[i].number = b, i
	}
	b.open.Store(int64(n))
	b.held.Store(1)
	b.space, _ = spaces.Get().(*space)
	b.frames = b.space.frames[:0]
	b.release = context.AfterFunc(ctx, func() { b.expire(ctx) })
	return b
}

// space is what messages are encoded in.
type space struct {
	frames []byte
	fields []message.Field // of one message at a time
}

var spaces = sync.Pool{New: func() any { return new(space) }}

// maxBuffer is the most bytes of a buffer that is used again.
const maxBuffer = 256 << 10

// maxFields is the most fields whose space is used again.
const maxFields = 64

// letGo is called when Publish, or whoever wrote a run, needs the frames no more.
func (b *batch) letGo() {
	if b.held.Add(-1) > 0 {
		return
	}
	if !b.parted {
		b.space.frames = b.frames // which may have grown
	}
	if cap(b.space.frames) <= maxBuffer {
		if n := cap(b.space.fields); n > maxFields {
			b.space.fields = nil
		} else {
			clear(b.space.fields[:n]) // they keep the text of events
		}
		spaces.Put(b.space)
	}
	b.frames, b.space = nil, nil
}

// run is consecutive messages of a batch that are written one after the other, and where
// their frames are.
type run struct {
	batch    *batch
	from, to int
	frames   []byte
}

func (r *run) pendings() []pending { return r.batch.pendings[r.from:r.to] }

func (r *run) first() *pending { return &r.batch.pendings[r.from] }

// run returns the messages numbered from from up to, not including, to.
func (b *batch) run(from, to int) run { return run{b, from, to, b.frames} }

// cut begins other frames. Those of runs that were given away are changed by the writer, so
// that they must not be copied when there is no more room behind them.
func (b *batch) cut() { b.frames, b.parted = b.frames[len(b.frames):], true }

// tell tells the outcome of the messages numbered from from up to, not including, to,
// which is the caller's to tell: see pending.answer.
func (b *batch) tell(from, to int, err error) {
	told := b.told
	if b.open.Add(int64(from-to)) == 0 {
		b.release() // before told, which may end the context
		b.told = nil
	}
	told(from, to, err)
}

// expire gives what has no outcome one, because the context, that of Publish, has ended.
func (b *batch) expire(ctx context.Context) {
	for i := range b.pendings {
		b.pendings[i].expire(ctx)
	}
}

// expire is batch.expire for one message. What Publish still has it answers itself.
func (p *pending) expire(ctx context.Context) {
	if p.stage.Load() == fresh || p.answered.Load() {
		return
	}
	var err error
	if p.abandon() {
		err = fault.NotSent(broker.WindowFull, p.op(), context.Cause(ctx))
	} else {
		err = &broker.Error{Kind: broker.ConfirmTimeout, Outcome: broker.Unknown, Op: p.op(), Err: context.Cause(ctx)}
	}
	if p.answer() {
		p.batch.tell(p.number, p.number+1, err)
	}
}

// fail ends p, of which nothing is awaited any more, with err.
func (p *pending) fail(err error) {
	if p.finish() {
		p.batch.tell(p.number, p.number+1, err)
	}
}

// gathered are outcomes of one batch that can be told at once. The zero value has none.
type gathered struct {
	batch    *batch
	from, to int
}

// add tells that p, whose outcome is the caller's to tell, was confirmed, at once or with
// those that follow.
func (g *gathered) add(p *pending) {
	if g.batch == p.batch && g.to == p.number {
		g.to++
		return
	}
	g.flush()
	*g = gathered{p.batch, p.number, p.number + 1}
}

// flush tells what was gathered.
func (g *gathered) flush() {
	if g.batch != nil {
		g.batch.tell(g.from, g.to, nil)
	}
	*g = gathered{}
}
