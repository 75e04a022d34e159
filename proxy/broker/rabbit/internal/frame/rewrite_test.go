package frame

import (
	"bytes"
	"fmt"
	"sync/atomic"

	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

// rewriter has messages and settlements written by a hot channel, and the library read
// them. It is used again, and by one goroutine.
type rewriter struct {
	framer  *Framer
	channel *Channel
	library libraryReader
	max     atomic.Uint32
	bytes   bytes.Reader
	compare comparer
	buffer  []byte
}

func newRewriter() *rewriter {
	w := &rewriter{framer: &Framer{socket: &socket{wake: make(chan struct{}, 1)}}}
	w.framer.between.L, w.framer.room.L = &w.framer.mu, &w.framer.socket.mu
	w.framer.opened.Store(uint32(hotChannels[1]))
	w.channel = w.framer.Heat(&ears{}, 0)
	w.library = libraryReader{r: &w.bytes, maxFrameSize: &w.max}
	return w
}

// write writes a message or a settlement, and returns what the library reads differently.
func (w *rewriter) write(m *maker) string {
	w.framer.waiting = w.framer.waiting[:0]
	if m.chance(4) {
		return w.settle(m)
	}
	properties, err := message.ParseProperties(string(w.plainProperties(m)))
	if err != nil {
		return err.Error()
	}
	frameSize := 4096
	if m.chance(4) {
		frameSize = 9 + m.r.IntN(64) // for bodies: a header has to fit
	}
	body := make([]byte, m.r.IntN(64))
	if m.chance(8) {
		body = make([]byte, m.r.IntN(3*frameSize))
	}
	exchange, key, mandatory := m.word(), m.word(), m.chance(2)
	frames, rest := AppendPublish(w.buffer[:0], exchange, key, mandatory, &properties, body, frameSize)
	if w.buffer = frames; m.chance(2) {
		further := message.Field{Name: m.word(), Kind: message.KindText, Raw: m.word()}
		frames = AppendWithHeader(nil, frames, further)
		properties.Headers.Fields = append(properties.Headers.Fields, further)
	}
	if err := w.channel.Send(frames, rest, frameSize); err != nil {
		return err.Error()
	}
	w.bytes.Reset(w.framer.waiting)
	return w.published(exchange, key, mandatory, &properties, body, frameSize)
}

// plainProperties are properties that the library reads, too.
func (w *rewriter) plainProperties(m *maker) []byte {
	for {
		b := m.properties(nil)
		if p, err := message.ParseProperties(string(b)); err == nil && plainTable(p.Headers.Append(nil)[4:], 0) {
			return b
		}
	}
}

// published compares what the library reads of a publish.
func (w *rewriter) published(exchange, key string, mandatory bool, p *message.Properties, body []byte, frameSize int) string {
	w.max.Store(0)
	first, err := readLibraryFrame(&w.library)
	if err != nil {
		return fmt.Sprintf("the library refuses a publish: %v", err)
	}
	m := mirrored[libraryMethod](first)
	if method(uint32(m.ClassId)<<16|uint32(m.MethodId)) != basicPublish || m.ChannelId != w.channel.number {
		return fmt.Sprintf("a publish is method %d.%d on channel %d", m.ClassId, m.MethodId, m.ChannelId)
	}
	if got := mirrored[libraryPublish](m.Method); got.Exchange != exchange || got.RoutingKey != key || got.Mandatory != mandatory || got.Immediate || got.reserved1 != 0 {
		return fmt.Sprintf("published %+v, want %q %q %t", got, exchange, key, mandatory)
	}
	second, err := readLibraryFrame(&w.library)
	if err != nil {
		return fmt.Sprintf("the library refuses a content header: %v", err)
	}
	h := mirrored[libraryHeader](second)
	if h.ChannelId != w.channel.number || h.ClassId != 60 || h.weight != 0 || h.Size != uint64(len(body)) {
		return fmt.Sprintf("the content header is %+v", h)
	}
	w.compare.result = bothRead
	if w.compare.alike(p, &h.Properties); w.compare.result == differ {
		return w.compare.why
	}
	w.max.Store(uint32(max(frameSize, frameHead+2))) //nolint:gosec // small
	for got := 0; w.bytes.Len() > 0; {
		f, err := readLibraryFrame(&w.library)
		if err != nil {
			return fmt.Sprintf("the library refuses a body in frames of %d: %v", frameSize, err)
		}
		b := mirrored[libraryBody](f)
		if got += len(b.Body); b.ChannelId != w.channel.number || got > len(body) || got < len(body) && w.bytes.Len() == 0 || len(b.Body) == 0 {
			return fmt.Sprintf("a body of %d bytes, want %d", got, len(body))
		}
	}
	return ""
}

// settle compares what the library reads of an acknowledgement, or of a nack.
func (w *rewriter) settle(m *maker) string {
	tag, bits := m.number(), byte(m.r.IntN(4)) //nolint:gosec // two bits
	ack := m.chance(2)
	var err error
	if ack {
		err = w.channel.Ack(tag, bits&1 == 1)
	} else {
		err = w.channel.Nack(tag, bits&1 == 1, bits&2 == 2)
	}
	if err != nil {
		return err.Error()
	}
	w.max.Store(4096)
	w.bytes.Reset(w.framer.waiting)
	f, err := readLibraryFrame(&w.library)
	if err != nil || w.bytes.Len() > 0 {
		return fmt.Sprintf("the library leaves %d bytes of a settlement: %v", w.bytes.Len(), err)
	}
	got := mirrored[libraryMethod](f)
	if ack {
		if a := mirrored[libraryAck](got.Method); got.MethodId != 80 || a.DeliveryTag != tag || a.Multiple != (bits&1 == 1) {
			return fmt.Sprintf("acknowledged %+v, want %d %b", a, tag, bits)
		}
		return ""
	}
	if n := mirrored[libraryNack](got.Method); got.MethodId != 120 || n.DeliveryTag != tag || n.Multiple != (bits&1 == 1) || n.Requeue != (bits&2 == 2) {
		return fmt.Sprintf("refused %+v, want %d %b", n, tag, bits)
	}
	return ""
}
