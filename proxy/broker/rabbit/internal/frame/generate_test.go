package frame

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

// maker makes streams of frames: whole contents and confirms of hot channels, frames of the
// library's between them, and then, in every other stream, a few faults.
type maker struct {
	r      *rand.Rand
	b      []byte
	starts []int  // of frames in b
	sizes  []byte // of the pieces in which b comes
}

func newMaker(seed, worker uint64) *maker { return &maker{r: rand.New(rand.NewPCG(seed, worker))} } //nolint:gosec // to be repeated

func (m *maker) chance(n int) bool { return m.r.IntN(n) == 0 }

// stream makes the next stream. It is good until the one after it.
func (m *maker) stream() (in, sizes []byte) {
	m.b, m.starts, m.sizes = m.b[:0], m.starts[:0], m.sizes[:0]
	for range 1 + m.r.IntN(2) {
		m.frames()
	}
	if m.chance(2) {
		for range 1 + m.r.IntN(2) {
			m.fault()
		}
	}
	if m.chance(2) {
		most := [...]int{1, 8, 64, 255}[m.r.IntN(4)]
		for range 1 + m.r.IntN(4) {
			m.sizes = append(m.sizes, byte(m.r.IntN(most+1))) //nolint:gosec // at most 255
		}
	}
	return m.b, m.sizes
}

func (m *maker) channel() uint16 {
	if m.chance(16) {
		return [...]uint16{0, 1, 4, maxChannels, 65535}[m.r.IntN(5)] // the library's
	}
	return hotChannels[m.r.IntN(len(hotChannels))]
}

func (m *maker) frame(kind byte, channel uint16, fill func([]byte) []byte) {
	m.starts = append(m.starts, len(m.b))
	m.b = appendFrame(m.b, kind, channel, fill)
}

func (m *maker) method(channel uint16, of method, fill func([]byte) []byte) {
	m.frame(frameMethod, channel, func(b []byte) []byte { return fill(appendMethod(b, of)) })
}

// frames appends a content, a confirm, or a frame of the library's.
func (m *maker) frames() {
	channel := m.channel()
	switch m.r.IntN(16) {
	default:
		m.method(channel, basicDeliver, func(b []byte) []byte {
			b = append(binary.BigEndian.AppendUint64(appendShort(b, "warren.1"), m.number()), byte(m.r.IntN(2))) //nolint:gosec // a bit
			return appendShort(appendShort(b, m.word()), m.word())
		})
		m.content(channel)
	case 10, 11:
		m.method(channel, basicReturn, func(b []byte) []byte {
			return appendShort(appendShort(appendShort(append(b, 1, 56), "NO_ROUTE"), m.word()), m.word())
		})
		m.content(channel)
	case 12, 13:
		of := basicAck
		if m.chance(3) {
			of = basicNack
		}
		m.method(channel, of, func(b []byte) []byte {
			return append(binary.BigEndian.AppendUint64(b, m.number()), byte(m.r.IntN(4))) //nolint:gosec // bits
		})
	case 14:
		m.frame(frameHeartbeat, 0, func(b []byte) []byte { return b })
	case 15:
		m.method(channel, 60<<16|21, func(b []byte) []byte { return appendShort(b, m.word()) }) // basic.consume-ok
	}
}

func (m *maker) number() uint64 {
	n := m.r.Uint64()
	return n >> (n & 63)
}

func (m *maker) word() string {
	const words = "shop.orders.created.eu-west-1.v1/application+json;charset=utf-8"
	at := m.r.IntN(len(words))
	if m.chance(64) {
		return string(make([]byte, 255))
	}
	return words[at:min(len(words), at+m.r.IntN(16))]
}

// content appends a content header and its body.
func (m *maker) content(channel uint16) {
	size := m.r.IntN(40)
	if m.chance(64) {
		size = m.r.IntN(2 * keptBody)
	}
	m.frame(frameHeader, channel, func(b []byte) []byte {
		b = binary.BigEndian.AppendUint64(append(b, 0, 60, 0, 0), uint64(size)) //nolint:gosec // a length
		return m.properties(b)
	})
	for size > 0 {
		n := size
		if m.chance(3) {
			n = m.r.IntN(size + 1)
		}
		m.frame(frameBody, channel, func(b []byte) []byte {
			for range n {
				b = append(b, byte(n)) //nolint:gosec // anything
			}
			return b
		})
		size -= n
	}
}

// properties appends flags and the properties that they name.
func (m *maker) properties(b []byte) []byte {
	some := m.r.Uint32()
	flags := message.Flag(some&(some>>16)) &^ 3 //nolint:gosec // 16 of its bits
	if m.chance(2) {
		flags |= message.HasHeaders
	}
	b = binary.BigEndian.AppendUint16(b, uint16(flags))
	for f := message.HasContentType; f >= message.HasClusterID; f >>= 1 {
		switch {
		case flags&f == 0:
		case f == message.HasHeaders:
			b = m.table(b, 0)
		case f == message.HasDeliveryMode || f == message.HasPriority:
			b = append(b, byte(m.r.Uint32())) //nolint:gosec // anything
		case f == message.HasTimestamp:
			b = binary.BigEndian.AppendUint64(b, m.number())
		default:
			b = appendShort(b, m.word())
		}
	}
	return b
}

// sized appends what fill appends, with its length before it.
func sized(b []byte, fill func([]byte) []byte) []byte {
	at := len(b)
	b = fill(append(b, 0, 0, 0, 0))
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4)) //nolint:gosec // a length
	return b
}

func (m *maker) table(b []byte, depth int) []byte {
	n := m.r.IntN(4)
	if depth == 0 && m.chance(100_000) {
		n = libraryElements - 1 + m.r.IntN(3) // at the library's limit
	}
	return sized(b, func(b []byte) []byte {
		for i := range n {
			name := m.word()
			if n > 4 {
				name = string([]byte{'n', byte(i >> 8), byte(i)}) //nolint:gosec // two octets
			}
			b = m.value(appendShort(b, name), depth)
		}
		return b
	})
}

func (m *maker) value(b []byte, depth int) []byte {
	if depth == 0 && m.chance(5000) {
		return m.deep(b, libraryDepth-1+m.r.IntN(4))
	}
	const kinds = "SSSSSxlITtbBsuifdDVAF"
	kind := kinds[m.r.IntN(len(kinds))]
	switch {
	case m.chance(256):
		kind = 'L' // RabbitMQ and Warren know it, the library does not
	case m.chance(512):
		kind = byte(m.r.Uint32()) //nolint:gosec // mostly nothing
	}
	b = append(b, kind)
	size := 0
	switch kind {
	case 'S', 'x':
		text := m.word()
		return append(binary.BigEndian.AppendUint32(b, uint32(len(text))), text...) //nolint:gosec // a length
	case 'A':
		if depth > 2 {
			return append(b, 0, 0, 0, 0)
		}
		return sized(b, func(b []byte) []byte {
			for range m.r.IntN(3) {
				b = m.value(b, depth+1)
			}
			return b
		})
	case 'F':
		if depth > 2 {
			return append(b, 0, 0, 0, 0)
		}
		return m.table(b, depth+1)
	case 'V':
	case 't':
		size = 1
	default:
		var known bool
		if size, known = fixedSizes[kind]; !known {
			size = m.r.IntN(9)
		}
	}
	for range size {
		b = append(b, byte(m.r.Uint32())) //nolint:gosec // anything
	}
	return b
}

var fixedSizes = map[byte]int{'b': 1, 'B': 1, 's': 2, 'u': 2, 'I': 4, 'i': 4, 'f': 4, 'D': 5, 'l': 8, 'L': 8, 'd': 8, 'T': 8}

// deep appends n arrays or tables in each other.
func (m *maker) deep(b []byte, n int) []byte {
	kind := "AF"[m.r.IntN(2)]
	if n == 0 {
		return append(b, 'V')
	}
	return sized(append(b, kind), func(b []byte) []byte {
		if kind == 'F' {
			b = appendShort(b, "d")
		}
		return m.deep(b, n-1)
	})
}

// fault breaks something.
func (m *maker) fault() {
	if len(m.b) == 0 {
		return
	}
	start, end := m.any()
	switch m.r.IntN(12) {
	case 0: // any byte becomes any other
		m.b[m.r.IntN(len(m.b))] = byte(m.r.Uint32()) //nolint:gosec // anything
	case 1: // a bit of a byte within this frame
		m.b[start+m.r.IntN(end-start)] ^= 1 << m.r.IntN(8)
	case 2: // the size lies
		size := binary.BigEndian.Uint32(m.b[start+3:])
		wrong := [...]uint32{0, size - 1, size + 1, size + uint32(m.r.IntN(64)), 1 << 31, 1<<32 - 1, maxFrame, maxFrame + 1, largest - 8, largest - 7} //nolint:gosec // small
		binary.BigEndian.PutUint32(m.b[start+3:], wrong[m.r.IntN(len(wrong))])
	case 3: // the end octet
		m.b[end-1] = byte(m.r.Uint32()) //nolint:gosec // anything
	case 4: // another channel
		binary.BigEndian.PutUint16(m.b[start+1:], m.channel())
	case 5: // another kind
		m.b[start] = [...]byte{0, frameMethod, frameHeader, frameBody, 4, frameHeartbeat, 'A', 255}[m.r.IntN(8)]
	case 6: // the end of the connection
		m.cut(m.r.IntN(len(m.b)))
	case 7: // the frame is missing
		m.b = append(m.b[:start], m.b[end:]...)
		m.index()
	case 8: // it comes twice
		m.b = append(m.b, m.b[start:end]...)
		m.index()
	case 9: // a byte is missing, or too many, and the size says so: the fields lie
		m.resize(start, end)
	case 10: // the body's announced size
		if m.b[start] == frameHeader && end-start > frameHead+12 {
			binary.BigEndian.PutUint64(m.b[start+frameHead+4:], m.number())
		}
	case 11: // more than was negotiated
		if m.chance(2000) {
			m.frame(frameBody, hotChannels[0], func(b []byte) []byte { return append(b, make([]byte, largest)...) })
		}
	}
}

// any returns the bounds of a frame.
func (m *maker) any() (start, end int) {
	i := m.r.IntN(len(m.starts))
	if i+1 < len(m.starts) {
		return m.starts[i], m.starts[i+1]
	}
	return m.starts[i], len(m.b)
}

// cut cuts b, but keeps whole heads.
func (m *maker) cut(at int) {
	m.b = m.b[:at]
	m.index()
}

// index finds the frames again.
func (m *maker) index() {
	m.starts = m.starts[:0]
	for at := 0; len(m.b)-at > frameHead; {
		m.starts = append(m.starts, at)
		next := at + frameHead + int(binary.BigEndian.Uint32(m.b[at+3:])) + 1
		if next > len(m.b) || next < at {
			return
		}
		at = next
	}
	if len(m.starts) == 0 {
		m.b = m.b[:0]
	}
}

// resize takes a byte out of a payload, or adds one.
func (m *maker) resize(start, end int) {
	size := binary.BigEndian.Uint32(m.b[start+3:])
	if end-start != frameHead+int(size)+1 || size == 0 {
		return
	}
	at := start + frameHead + m.r.IntN(int(size))
	if m.chance(2) {
		m.b = append(m.b[:at], m.b[at+1:]...)
		size--
	} else {
		m.b = append(m.b[:at+1], m.b[at:]...)
		size++
	}
	binary.BigEndian.PutUint32(m.b[start+3:], size)
	m.index()
}
