package frame

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Framer lets two share a connection, frame by frame: amqp091-go, which opens it, keeps
// it alive and makes all calls, and hot channels, whose publishes, confirms, returns,
// deliveries and acknowledgements the library never sees.
//
//	library ──Write──▶┐                ┌──▶ Read: every other frame ──▶ library
//	                  ├─▶ socket ══▶ ──┤
//	hot channel ─────▶┘                └──▶ content and confirms of hot channels
//
// The library decodes a header table into Go values, ends the connection over a table
// that is too deep or too wide for it, and makes a system call for each publish. What it
// does not see cannot harm it. A channel is opened, made to confirm or to consume, and
// closed, by the library.
type Framer struct {
	*socket
	// channels are the hot ones by number. One stays after its channel is closed, lest the
	// library get what is still on its way, until another channel has the number.
	channels [maxChannels]atomic.Pointer[Channel]
	opened   atomic.Uint32 // number of the channel the library opened last

	patience atomic.Int64 // within which the library wants to read something, 0 for ever

	// Owned by the reader, which is the library's.
	linger   linger
	passing  int       // bytes of a frame that the library is being given
	extended time.Time // when the read deadline was moved last
	hidden   bool      // frames were read since then that the library does not see

	// Guarded by mu. It is never taken by the reader: a writer may hold it while the broker
	// reads nothing, and only the reader can learn that the broker goes on.
	mu      sync.Mutex
	between sync.Cond // the library has ended a frame, or broken is set
	out     tracker   // of what the library writes
	broken  error
}

// maxChannels is one more than the highest number of a channel: the library's default.
const maxChannels = 2048

// maxFrame bounds the payload of a frame that is read: far over what is ever negotiated.
const maxFrame = 16 << 20

// NewFramer makes the connection that the library is given, over c, which it owns.
// writeTimeout is how long the broker may take nothing of a write before c is closed. It is
// to be closed.
func NewFramer(c net.Conn, writeTimeout time.Duration) *Framer {
	f := &Framer{socket: newSocket(c, writeTimeout)}
	f.beforeRead = f.rest
	f.between.L = &f.mu
	return f
}

// Heat makes the channel that the library opened last a hot one, whose content goes to
// t. It must be called before anything is published or consumed there, and before the
// library opens another.
func (f *Framer) Heat(t Taker, maxBody int) *Channel {
	h := &Channel{framer: f, number: uint16(f.opened.Load()), taker: t, maxBody: uint64(maxBody)} //nolint:gosec // set from 16 bits; not negative
	f.channels[h.number].Store(h)
	return h
}

// Write implements net.Conn, for the library.
func (f *Framer) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.out.feed(p, f.told)
	n, err := f.socket.Write(p)
	if err != nil {
		f.broken = err
	}
	if err != nil || !f.out.within() {
		f.between.Broadcast()
	}
	return n, err
}

// told learns what the library does with channels. It is called with mu held.
func (f *Framer) told(channel uint16, m method) {
	if channel >= maxChannels {
		return
	}
	switch m {
	case channelOpen:
		f.channels[channel].Store(nil)
		f.opened.Store(uint32(channel))
	case channelClose, channelCloseOK:
		// A frame after that would end the connection.
		if h := f.channels[channel].Load(); h != nil {
			h.over.Store(true)
		}
	}
}

// send writes whole frames of a hot channel, and then body as frames of at most
// frameSize. It returns net.ErrClosed, with nothing written, when the channel is over.
func (f *Framer) send(h *Channel, frames, body []byte, frameSize int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.out.within() && f.broken == nil {
		f.between.Wait()
	}
	switch {
	case f.broken != nil:
		return f.broken
	case h.over.Load():
		return net.ErrClosed
	}
	err := f.write(frames)
	for most := frameSize - frameHead - 1; len(body) > 0 && err == nil; {
		n := min(len(body), most)
		head := appendFrame(nil, frameBody, h.number, func(b []byte) []byte { return b })
		binary.BigEndian.PutUint32(head[3:], uint32(n)) //nolint:gosec // bounded by the frame size
		err = errors.Join(f.write(head[:frameHead]), f.write(body[:n]), f.write(head[frameHead:]))
		body = body[n:]
	}
	return err
}

// write is called with mu held.
func (f *Framer) write(p []byte) error {
	_, err := f.socket.Write(p)
	if err != nil {
		f.broken = err
		f.between.Broadcast()
	}
	return err
}

// SetReadDeadline implements net.Conn. The library moves it with each frame that it
// sees; what it does not see moves it too.
func (f *Framer) SetReadDeadline(t time.Time) error {
	patience := time.Duration(0)
	if !t.IsZero() {
		patience = time.Until(t)
	}
	f.patience.Store(int64(patience))
	return f.socket.SetReadDeadline(t)
}

// extendEvery is how often frames that the library does not see move its read deadline.
const extendEvery = 200 * time.Millisecond

// extend moves the deadline before the next read, if the library did not see what came.
func (f *Framer) extend() {
	if !f.hidden {
		return
	}
	f.hidden = false
	patience := time.Duration(f.patience.Load())
	if now := time.Now(); patience > 0 && now.Sub(f.extended) > extendEvery {
		f.extended = now
		_ = f.socket.SetReadDeadline(now.Add(patience)) // of a closed connection: the next read tells
	}
}

// Read implements net.Conn, for the library: it reads the frames that are its own.
func (f *Framer) Read(p []byte) (int, error) {
	for f.passing == 0 {
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	n, err := f.reader.Read(p[:min(len(p), f.passing)])
	f.passing -= n
	return n, err
}

// next takes a frame of a hot channel, or sets how much is to be passed to the library.
func (f *Framer) next() error {
	b, err := f.reader.Peek(frameHead)
	if err != nil {
		return err
	}
	h, ok := parseHead(b)
	if !ok || h.size > maxFrame {
		f.passing = frameHead // it is the library's to complain
		return nil
	}
	hot := f.hot(h)
	if hot == nil {
		f.passing = frameHead + int(h.size) + 1
		return nil
	}
	f.hidden = true
	if h.kind == frameBody {
		_, _ = f.reader.Discard(frameHead) // it was peeked at
		return f.body(hot, int(h.size))
	}
	payload, err := f.payload(int(h.size))
	if err != nil {
		return err
	}
	taken, err := hot.take(h.kind, payload)
	if err != nil {
		return err
	}
	if !taken {
		f.passing = frameHead + int(h.size) + 1
		return nil
	}
	_, err = f.reader.Discard(frameHead + int(h.size) + 1)
	return err
}

// rest lets more come before the kernel is asked, while deliveries come fast.
func (f *Framer) rest() {
	f.extend()
	if f.linger.large == 0 && !f.linger.waits {
		return // a connection that does not consume does not look at the clock
	}
	if d := f.linger.before(time.Now()); d > 0 {
		time.Sleep(d) //nolint:forbidigo // it waits for the time itself; the socket's end ends the read after it
	}
}

// hot is the channel whose frame h begins, nil if the frame is the library's.
func (f *Framer) hot(h head) *Channel {
	if h.channel >= maxChannels || h.kind == frameHeartbeat {
		return nil
	}
	return f.channels[h.channel].Load()
}

// errEnd ends a connection: the frames after a wrong one begin nobody knows where.
var errEnd = errors.New("a frame does not end where its head says")

// payload peeks at the payload of the next frame.
func (f *Framer) payload(size int) ([]byte, error) {
	whole := frameHead + size + 1
	if whole > f.reader.Size() {
		f.widen(whole)
	}
	b, err := f.reader.Peek(whole)
	if err != nil {
		return nil, err
	}
	if b[whole-1] != frameEnd {
		return nil, errEnd
	}
	return b[frameHead : whole-1], nil
}

// widen makes room for a frame larger than the buffer: a content header at most.
func (f *Framer) widen(size int) { f.reader = bufio.NewReaderSize(f.reader, size) }

// body reads a frame of a body to where it belongs.
func (f *Framer) body(hot *Channel, size int) error {
	room := hot.room(size)
	if _, err := io.ReadFull(f.reader, room); err != nil {
		return err
	}
	if _, err := f.reader.Discard(size - len(room)); err != nil {
		return err
	}
	if end, err := f.reader.ReadByte(); err != nil {
		return err
	} else if end != frameEnd {
		return errEnd
	}
	hot.added(size)
	return nil
}
