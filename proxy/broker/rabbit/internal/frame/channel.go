package frame

import (
	"encoding/binary"
	"errors"
	"sync/atomic"

	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

// Taker gets what comes on a hot channel. Its methods are called by the connection's one
// reader and must not block.
type Taker interface {
	// Deliver takes a message for the channel's consumer, whose own it is.
	Deliver(m *message.Message)
	// GiveBack takes a mandatory message that no queue took; its confirm follows.
	GiveBack(r Returned)
	// Confirm tells that the broker has a message, or all up to it, or that it does not.
	Confirm(tag uint64, multiple, ack bool)
}

// Returned is a publish that no queue took. Its body is not read.
type Returned struct {
	Exchange, Key string
	Reason        string
	Properties    message.Properties
}

// Channel is a hot channel: one whose content and confirms go to its taker. All but over
// belongs to the reader of the connection.
//
//	method ──▶ header ──▶ body ──▶ body ──▶ given to the taker
//	   ▲                   │ as many as the header says, or none
//	   └───────────────────┘
type Channel struct {
	framer  *Framer
	number  uint16
	taker   Taker
	maxBody uint64      // of a larger body only the size is told; 0 means that any is read
	over    atomic.Bool // the library has closed it, or answered that it is closed
	spare   atomic.Bool // its consumer's prefetch is large enough to linger

	expects  byte // kind of the next frame of a content, 0 for none
	message  *message.Message
	returned *Returned // what message is, if it is no delivery
	got      uint64    // of the body
	exchange string    // of the last delivery, and its routing key: the next mostly has the same
	key      string
	skip     bool // the body is not kept
}

// Prefetch tells how many deliveries may come before one of them is settled. It decides
// whether the reader may wait a little for more of them while they come fast.
func (h *Channel) Prefetch(n int) { h.spare.Store(n >= lingerWindow) }

// errMethod ends a connection: what follows a method of the wrong size cannot be trusted.
var errMethod = errors.New("a method frame is shorter or longer than its fields")

// take takes a method or a header, and returns false for one that is the library's.
func (h *Channel) take(kind byte, payload []byte) (taken bool, err error) {
	if kind == frameHeader {
		if h.expects != frameHeader {
			h.expects = 0 // a header ends a content that is not whole, and begins none
			return false, nil
		}
		h.header(payload)
		return true, nil
	}
	if len(payload) < 4 {
		return false, errMethod
	}
	h.expects = 0 // a method ends a content that is not whole
	r := fields{b: payload[4:]}
	switch method(binary.BigEndian.Uint32(payload)) {
	case basicDeliver:
		r.bytes(int(r.octet())) // the consumer's tag; the channel has one
		m := message.NewMessage()
		m.Tag, m.Redelivered = r.uint64(), r.octet()&1 == 1
		m.Exchange, m.RoutingKey = r.again(&h.exchange), r.again(&h.key)
		h.message, h.returned, h.skip = m, nil, false
	case basicReturn:
		r.uint16() // the reply code, which its text says better
		h.returned = &Returned{Reason: r.short(), Exchange: r.short(), Key: r.short()}
		h.message, h.skip = &message.Message{}, true
	case basicAck, basicNack:
		tag, bits := r.uint64(), r.octet()
		if !r.done() {
			return false, errMethod
		}
		h.taker.Confirm(tag, bits&1 == 1, method(binary.BigEndian.Uint32(payload)) == basicAck)
		return true, nil
	default:
		return false, nil
	}
	if !r.done() {
		return false, errMethod
	}
	h.expects = frameHeader
	return true, nil
}

var errHeader = errors.New("the content header is cut short")

// header takes a content header: class, weight, size of the body, properties.
func (h *Channel) header(payload []byte) {
	m := h.message
	if len(payload) < 12 {
		m.Broken = errHeader
	} else {
		m.Size = binary.BigEndian.Uint64(payload[4:])
		m.Encoded = string(payload[12:]) // one copy, which every string shares
		m.Broken = m.Parse(m.Encoded)
	}
	h.got = 0
	h.skip = h.skip || h.maxBody > 0 && m.Size > h.maxBody || m.Size > maxBody
	if !h.skip && m.Size > 0 {
		m.Body = make([]byte, m.Size)
	}
	h.expects = frameBody
	h.added(0)
}

// maxBody bounds what is ever read; RabbitMQ takes no more itself.
const maxBody = 512 << 20

// room is where the next size bytes of the body go, as many as are kept.
func (h *Channel) room(size int) []byte {
	if h.expects != frameBody || h.skip {
		return nil
	}
	rest := h.message.Body[h.got:]
	return rest[:min(size, len(rest))]
}

// added counts a part of the body, and ends the content when that was the last.
func (h *Channel) added(size int) {
	if h.expects != frameBody {
		h.expects = 0 // a body without its header ends the content
		return
	}
	if h.got += uint64(size); h.got < h.message.Size { //nolint:gosec // a length
		return
	}
	h.expects = 0
	m := h.message
	h.message = nil
	if r := h.returned; r != nil {
		r.Properties = m.Properties
		h.taker.GiveBack(*r)
		return
	}
	h.framer.linger.count(h.spare.Load())
	h.taker.Deliver(m)
}

// Ack acknowledges a delivery, or all up to it. It is safe for concurrent use.
func (h *Channel) Ack(tag uint64, multiple bool) error {
	bits := byte(0)
	if multiple {
		bits = 1
	}
	return h.settle(basicAck, tag, bits)
}

// Nack refuses a delivery, or all up to it, as Ack does.
func (h *Channel) Nack(tag uint64, multiple, requeue bool) error {
	bits := byte(0)
	if multiple {
		bits = 1
	}
	if requeue {
		bits |= 2
	}
	return h.settle(basicNack, tag, bits)
}

func (h *Channel) settle(m method, tag uint64, bits byte) error {
	return h.framer.send(h, appendSettle(make([]byte, 0, 32), h.number, m, tag, bits), nil, message.FrameSize)
}

// fields reads the fields of a method.
type fields struct {
	b   []byte
	bad bool // they ended too early
}

func (r *fields) bytes(n int) []byte {
	if len(r.b) < n {
		r.bad, r.b = true, nil
		return make([]byte, n)
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

// done reports whether all fields were there, and nothing else.
func (r *fields) done() bool { return !r.bad && len(r.b) == 0 }

func (r *fields) octet() byte    { return r.bytes(1)[0] }
func (r *fields) uint16() uint16 { return binary.BigEndian.Uint16(r.bytes(2)) }
func (r *fields) uint64() uint64 { return binary.BigEndian.Uint64(r.bytes(8)) }

// again reads a short string, which is last if it is the same.
func (r *fields) again(last *string) string {
	if b := r.bytes(int(r.octet())); string(b) != *last {
		*last = string(b)
	}
	return *last
}

func (r *fields) short() string { return string(r.bytes(int(r.octet()))) }
