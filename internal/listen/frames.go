package listen

import "bytes"

// preface is what an HTTP/2 client begins with (RFC 9113, 3.4).
var preface = []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

const (
	frameHeader = 9
	// Types of frames.
	frameData    = 0x0
	frameHeaders = 0x1
	frameReset   = 0x3
	// Flags of frames.
	flagEndStream = 0x1
	flagPadded    = 0x8
)

// frames follows the frames of one direction of an HTTP/2 connection, however they are
// cut into reads or writes. It keeps no content and allocates nothing. It belongs to
// the goroutine that reads or writes.
type frames struct {
	toMatch []byte // of the preface; nil once it has come, or when there is none
	plain   bool   // this is no HTTP/2

	head [frameHeader]byte
	have int    // bytes of head
	left uint32 // of the frame's payload
	pad  int    // bytes of padding at the end; -1 until the length of it is known
}

// frame is passed to observe.
type frame struct {
	kind, flags byte
	stream      uint32
	length      uint32
}

// scan calls observe for each frame that begins in b. It passes the payload of DATA
// frames on piece by piece, without their padding.
func (f *frames) scan(b []byte, observe func(frame), data func(stream uint32, piece []byte)) {
	if len(f.toMatch) > 0 {
		b = f.match(b)
	}
	for len(b) > 0 && !f.plain {
		if f.left > 0 {
			n := min(int(f.left), len(b))
			f.payload(b[:n], data)
			f.left -= uint32(n) //nolint:gosec // at most left
			b = b[n:]
			continue
		}
		n := copy(f.head[f.have:], b)
		f.have += n
		b = b[n:]
		if f.have < frameHeader {
			return
		}
		f.have = 0
		fr := f.header()
		f.left, f.pad = fr.length, 0
		if fr.kind == frameData && fr.flags&flagPadded != 0 {
			f.pad = -1
		}
		observe(fr)
	}
}

// match compares b with the preface and returns what follows it.
func (f *frames) match(b []byte) []byte {
	n := min(len(f.toMatch), len(b))
	if !bytes.Equal(f.toMatch[:n], b[:n]) {
		f.plain, f.toMatch = true, nil
		return nil
	}
	f.toMatch = f.toMatch[n:]
	return b[n:]
}

// header reads the frame's header (RFC 9113, 4.1).
func (f *frames) header() frame {
	h := &f.head
	return frame{
		length: uint32(h[0])<<16 | uint32(h[1])<<8 | uint32(h[2]),
		kind:   h[3], flags: h[4],
		stream: (uint32(h[5])<<24 | uint32(h[6])<<16 | uint32(h[7])<<8 | uint32(h[8])) & 0x7fffffff,
	}
}

// payload passes on a piece of a DATA frame's content. f.left still counts the piece.
func (f *frames) payload(b []byte, data func(uint32, []byte)) {
	fr := f.header()
	if fr.kind != frameData || data == nil {
		return
	}
	left := int(f.left)
	if f.pad < 0 {
		f.pad = int(b[0])
		b, left = b[1:], left-1
	}
	if content := left - f.pad; content > 0 {
		data(fr.stream, b[:min(content, len(b))])
	}
}
