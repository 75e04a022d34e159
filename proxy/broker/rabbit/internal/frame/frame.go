package frame

import (
	"encoding/binary"

	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

// Frames of AMQP 0-9-1 (section 4.2.3): a head of type, channel and size; the payload;
// an end octet.
const (
	frameMethod    = 1
	frameHeader    = 2
	frameBody      = 3
	frameHeartbeat = 8

	frameHead = 7
	frameEnd  = 0xCE
)

// method is a class and a method of it.
type method uint32

// The methods that concern hot channels.
const (
	channelOpen    method = 20<<16 | 10
	channelClose   method = 20<<16 | 40
	channelCloseOK method = 20<<16 | 41

	basicPublish method = 60<<16 | 40
	basicReturn  method = 60<<16 | 50
	basicDeliver method = 60<<16 | 60
	basicAck     method = 60<<16 | 80
	basicNack    method = 60<<16 | 120
)

// head is the head of a frame.
type head struct {
	kind    byte
	channel uint16
	size    uint32 // of the payload
}

// parseHead reads the head at the begin of b. ok is false when no frame begins so.
func parseHead(b []byte) (h head, ok bool) {
	h = head{kind: b[0], channel: binary.BigEndian.Uint16(b[1:]), size: binary.BigEndian.Uint32(b[3:])}
	switch h.kind {
	case frameMethod, frameHeader, frameBody, frameHeartbeat:
		return h, true
	default:
		return h, false
	}
}

// appendFrame appends a frame whose payload fill appends.
func appendFrame(b []byte, kind byte, channel uint16, fill func([]byte) []byte) []byte {
	at := len(b)
	b = append(b, kind, byte(channel>>8), byte(channel), 0, 0, 0, 0) //nolint:gosec // two octets
	b = fill(b)
	binary.BigEndian.PutUint32(b[at+3:], uint32(len(b)-at-frameHead)) //nolint:gosec // bounded by the frame size
	return append(b, frameEnd)
}

func appendMethod(b []byte, m method) []byte { return binary.BigEndian.AppendUint32(b, uint32(m)) }

func appendShort(b []byte, s string) []byte { return append(append(b, byte(len(s))), s...) } //nolint:gosec // checked by encode

// appendPublish appends what comes before the body of a publish: its method and its
// content header.
func appendPublish(b []byte, channel uint16, exchange, key string, mandatory bool, p *message.Properties, body int) []byte {
	b = appendFrame(b, frameMethod, channel, func(b []byte) []byte {
		b = append(appendMethod(b, basicPublish), 0, 0)
		b = appendShort(appendShort(b, exchange), key)
		if mandatory {
			return append(b, 1)
		}
		return append(b, 0)
	})
	return appendFrame(b, frameHeader, channel, func(b []byte) []byte {
		b = append(b, 0, 60, 0, 0)
		b = binary.BigEndian.AppendUint64(b, uint64(body)) //nolint:gosec // a length
		return p.Append(b)
	})
}

// appendSettle appends an acknowledgement, or a nack.
func appendSettle(b []byte, channel uint16, m method, tag uint64, bits byte) []byte {
	return appendFrame(b, frameMethod, channel, func(b []byte) []byte {
		return append(binary.BigEndian.AppendUint64(appendMethod(b, m), tag), bits)
	})
}

// tracker follows a stream of bytes from frame to frame. The zero value is at the begin
// of a connection, where a client says which protocol it speaks.
type tracker struct {
	first [frameHead + 4]byte // the head, and the method of a method frame
	have  int                 // bytes of first
	left  int                 // bytes of the frame that are to come after its head
	begun bool
}

// protocolHeader is the size of what a client says first.
const protocolHeader = 8

// within reports whether the stream is inside a frame.
func (t *tracker) within() bool { return t.have > 0 || t.left > 0 }

// feed follows p. told is called for each method, before the frame's end has passed.
func (t *tracker) feed(p []byte, told func(channel uint16, m method)) {
	if !t.begun && len(p) > 0 {
		t.begun = true
		if p[0] == 'A' {
			t.left = protocolHeader
		}
	}
	for len(p) > 0 {
		if t.left == 0 {
			n := copy(t.first[t.have:frameHead], p)
			t.have, p = t.have+n, p[n:]
			if t.have == frameHead {
				h, _ := parseHead(t.first[:])
				t.left = int(h.size) + 1
			}
			continue
		}
		n := min(len(p), t.left)
		if t.have >= frameHead && t.have < len(t.first) && t.first[0] == frameMethod {
			t.have += copy(t.first[t.have:], p[:n])
			if t.have == len(t.first) {
				told(binary.BigEndian.Uint16(t.first[1:]), method(binary.BigEndian.Uint32(t.first[frameHead:])))
			}
		}
		t.left, p = t.left-n, p[n:]
		if t.left == 0 {
			t.have = 0
		}
	}
}
