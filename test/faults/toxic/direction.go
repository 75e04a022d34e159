package toxic

import (
	"sync/atomic"
	"time"

	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
)

// directionType is the toxiproxy type of a direction.
const directionType = "warren_direction"

// direction is one direction of a link. It is the only toxic in it, exists from the
// start and follows the weather.
//
// Decision: no toxic is added to or removed from a link that has connections. Context:
// toxiproxy 2.5 interrupts the toxics of every connection for that, and holds a lock
// that a connection that just broke needs to end. It cannot interrupt a toxic that
// hands bytes to a broken connection: a deadlock. Cost: this package implements again
// what toxiproxy's own toxics do.
type direction struct {
	now    atomic.Pointer[spell]
	closed chan struct{} // closed together with the link

	passed, swallowed, cut, connections atomic.Int64
}

// parcel is a chunk in transit.
type parcel struct {
	data []byte
	due  time.Time
}

// flow is one direction of one connection.
type flow struct {
	*direction
	stub *toxics.ToxicStub

	spell *spell // the current one
	left  int64  // bytes until the cut
	lost  bool   // bytes were swallowed
	way   []parcel
	next  time.Time // when the bandwidth allows the next byte
}

// Pipe implements toxics.Toxic. It returns when the connection has ended.
func (d *direction) Pipe(stub *toxics.ToxicStub) {
	d.connections.Add(1)
	f := &flow{direction: d, stub: stub}
	for ended := false; !ended || len(f.way) > 0; {
		if f.changed() && f.lost {
			break // a stream that has lost bytes cannot continue
		}
		input := stub.Input
		if ended || len(f.way) >= f.spell.capacity() {
			input = nil
		}
		select {
		case <-f.spell.over:
		case <-d.closed:
			f.discard()
			return
		case c := <-input:
			ended = c == nil
			if c != nil {
				f.take(c)
			}
		case <-f.arrival():
			if !f.hand() {
				f.discard()
				return
			}
		}
	}
	f.discard()
}

// changed applies another weather. It reports whether there is one.
func (f *flow) changed() bool {
	s := f.now.Load()
	if s == f.spell {
		return false
	}
	f.spell, f.left = s, s.cutAfter
	return true
}

// take puts a chunk in transit, or swallows it.
func (f *flow) take(c *stream.StreamChunk) {
	f.passed.Add(int64(len(c.Data)))
	if f.spell.hole {
		f.swallowed.Add(int64(len(c.Data)))
		f.lost = true
		return
	}
	f.way = append(f.way, parcel{c.Data, c.Timestamp.Add(f.spell.delay())})
}

// arrival fires when the first chunk in transit is due.
func (f *flow) arrival() <-chan time.Time {
	if len(f.way) == 0 {
		return nil
	}
	return time.After(time.Until(f.way[0].due))
}

// hand delivers the first chunk. It returns false when the connection has ended.
func (f *flow) hand() bool {
	data := f.way[0].data
	f.way = f.way[1:]
	ends := false
	if cut := f.spell.cutAfter; cut > 0 {
		n := min(f.left, int64(len(data)))
		data, f.left = data[:n], f.left-n
		ends = f.left == 0
	}
	for _, piece := range f.spell.pieces(data) {
		if !f.send(piece) {
			return false
		}
	}
	if ends {
		f.cut.Add(1)
	}
	return !ends
}

// send delivers a piece when the bandwidth allows it.
func (f *flow) send(piece []byte) bool {
	if rate := f.spell.bandwidth; rate > 0 {
		f.next = later(f.next, time.Now()).Add(time.Duration(len(piece)) * time.Second / time.Duration(rate))
		const grain = 2 * time.Millisecond // timers are not more exact
		if wait := time.Until(f.next); wait > grain {
			select {
			case <-time.After(wait):
			case <-f.spell.over:
			case <-f.closed:
				return false
			}
		}
	}
	select {
	case f.stub.Output <- &stream.StreamChunk{Data: piece, Timestamp: time.Now()}:
		return true
	case <-f.closed: // when the other end is gone, nobody takes the piece
		return false
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// discard ends the connection and reads its input until the end, so that toxiproxy's
// goroutines that write the input end too.
func (f *flow) discard() {
	f.stub.Close()
	for range f.stub.Input { // discard what arrives
	}
}
