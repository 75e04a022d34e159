package frame

import (
	"encoding/binary"

	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

// smallBody is the most bytes that are copied to be written with what comes before.
const smallBody = 16 << 10

// AppendPublish appends the frames of a publish, each of at most frameSize. A body that is
// not copied there is rest, for Send. A frame's channel is not known yet: Send sets it.
func AppendPublish(b []byte, exchange, key string, mandatory bool, p *message.Properties, body []byte, frameSize int) (frames, rest []byte) {
	b = appendPublish(b, 0, exchange, key, mandatory, p, len(body))
	if n := len(body); n == 0 || n > min(smallBody, frameSize-frameHead-1) {
		return b, body
	}
	return appendFrame(b, frameBody, 0, func(b []byte) []byte { return append(b, body...) }), nil
}

// AppendWithHeader appends the frames that AppendPublish has made of one publish, with a
// further header.
func AppendWithHeader(b, publish []byte, f message.Field) []byte {
	header := frameHead + int(binary.BigEndian.Uint32(publish[3:])) + 1
	flags := header + frameHead + 12 // after class, weight and size
	at := flags + 2
	has := message.Flag(binary.BigEndian.Uint16(publish[flags:]))
	for _, text := range [...]message.Flag{message.HasContentType, message.HasContentEncoding} {
		if has&text != 0 {
			at += 1 + int(publish[at])
		}
	}
	start, end, size := len(b), at, uint32(0)
	if has&message.HasHeaders != 0 {
		size = binary.BigEndian.Uint32(publish[at:])
		end += 4 + int(size)
	}
	b = append(b, publish[:at]...)
	table := len(b)
	b = append(b, 0, 0, 0, 0)
	if end > at {
		b = append(b, publish[at+4:end]...)
	}
	b = f.Append(b)
	binary.BigEndian.PutUint32(b[table:], uint32(len(b)-table-4)) //nolint:gosec // a frame's at most
	grown := len(b) - start - end
	b = append(b, publish[end:]...)
	binary.BigEndian.PutUint16(b[start+flags:], uint16(has|message.HasHeaders))
	binary.BigEndian.PutUint32(b[start+header+3:], binary.BigEndian.Uint32(publish[header+3:])+uint32(grown)) //nolint:gosec // a frame's at most
	return b
}

// Send writes frames that AppendPublish has made, and then rest in frames of at most
// frameSize. It returns net.ErrClosed, with nothing written, when the library has closed the
// channel.
func (h *Channel) Send(frames, rest []byte, frameSize int) error {
	h.stamp(frames)
	return h.framer.send(h, frames, rest, frameSize)
}

// stamp sets the channel of frames.
func (h *Channel) stamp(frames []byte) {
	for len(frames) > 0 {
		binary.BigEndian.PutUint16(frames[1:], h.number)
		frames = frames[frameHead+int(binary.BigEndian.Uint32(frames[3:]))+1:]
	}
}
