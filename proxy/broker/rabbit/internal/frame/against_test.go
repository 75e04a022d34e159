package frame

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

// hotChannels are hot while streams are compared; all other channels are the library's.
var hotChannels = [...]uint16{3, 5}

const (
	keptBody  = 4096              // larger bodies are only counted
	largest   = message.FrameSize // of a frame, as negotiated
	sayAtMost = 600               // bytes of an input that a difference shows
)

// verdict is how a stream of frames ended, or a message was written.
type verdict int

const (
	bothRead     verdict = iota
	bothRefused          // the connection ends for both, after the same events
	cut                  // the stream ends within a frame
	onlyWeRead           // a table the library refuses, or a frame larger than negotiated
	onlyTheyRead         // padding, unknown flags, arrays that are longer than their table: set aside whole
	written              // and read by the library as it was meant
	verdicts             // how many there are
	differ       = verdict(-1)
)

var verdictNames = [verdicts]string{"read alike", "refused by both", "cut within a frame", "read by Warren alone", "read by the library alone", "written and read back"}

// heard is what a hot channel was told.
type heard struct {
	what                  byte // 'd'eliver, 'r'eturn, 'c'onfirm
	tag                   uint64
	flag, ack             bool // redelivered or multiple
	exchange, key, reason string
	properties            message.Properties
	broken                error
	body                  []byte
	size                  uint64
}

// ears take down what a hot channel is told.
type ears struct{ heard []heard }

func (e *ears) Deliver(m *message.Message) {
	e.heard = append(e.heard, heard{
		what: 'd', tag: m.Tag, flag: m.Redelivered, exchange: m.Exchange, key: m.RoutingKey,
		properties: m.Properties, broken: m.Broken, body: m.Body, size: m.Size,
	})
}

func (e *ears) GiveBack(r Returned) {
	e.heard = append(e.heard, heard{what: 'r', exchange: r.Exchange, key: r.Key, reason: r.Reason, properties: r.Properties})
}

func (e *ears) Confirm(tag uint64, multiple, ack bool) {
	e.heard = append(e.heard, heard{what: 'c', tag: tag, flag: multiple, ack: ack})
}

// comparer reads streams of frames with a Framer below the library, and with the library
// alone, and compares. It is used again, and by one goroutine.
type comparer struct {
	framer *Framer
	ears   ears
	in     chunks
	passed []byte // what the framer gave to the library

	library libraryReader
	max     atomic.Uint32
	exact   bytes.Reader

	// of the stream that is compared
	at      int // how many of heard are compared
	content [len(hotChannels)]parts
	result  verdict
	crooked bool   // a hot channel's frame has no end
	loose   bool   // the library's own frame was wrong: it reads on, wherever that is
	why     string // of a difference
}

// parts is the content of a hot channel that is not whole yet, as the library reads it.
type parts struct {
	expects byte // as in Channel
	method  libraryFrame
	header  *libraryHeader // nil if the library refuses it
	payload []byte         // of the header's frame
	size    uint64
	body    []byte
}

func newComparer() *comparer {
	c := &comparer{}
	c.framer = &Framer{socket: &socket{reader: bufio.NewReaderSize(&c.in, readBuffer)}}
	c.max.Store(largest)
	c.library = libraryReader{maxFrameSize: &c.max}
	return c
}

// chunks reads b in pieces whose sizes are in turn those of sizes.
type chunks struct {
	b     []byte
	sizes []byte
	at    int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.b) == 0 {
		return 0, io.EOF
	}
	n := len(p)
	if len(c.sizes) > 0 {
		n = min(n, 1+int(c.sizes[c.at%len(c.sizes)]))
		c.at++
	}
	n = copy(p[:n], c.b)
	c.b = c.b[n:]
	return n, nil
}

// Read implements io.Reader, for the library above the framer.
func (c *comparer) Read(p []byte) (int, error) {
	n, err := c.framer.Read(p)
	c.passed = append(c.passed, p[:n]...)
	return n, err
}

// compare compares how in is read, which comes in pieces of the given sizes.
func (c *comparer) compare(in, sizes []byte) (verdict, string) {
	c.ears.heard, c.passed, c.at, c.why, c.crooked, c.loose = c.ears.heard[:0], c.passed[:0], 0, "", false, false
	c.in = chunks{b: in, sizes: sizes}
	c.framer.reader.Reset(&c.in)
	c.framer.passing = 0
	for i, number := range hotChannels {
		c.content[i] = parts{}
		h := c.framer.channels[number].Load()
		if h == nil {
			c.framer.opened.Store(uint32(number))
			h = c.framer.Heat(&c.ears, keptBody)
		}
		h.expects, h.message, h.returned, h.got, h.skip = 0, nil, nil, 0, false
	}
	c.library.r = c
	var err error
	for err == nil {
		_, err = readLibraryFrame(&c.library)
	}
	c.result = bothRead
	c.walk(in, err)
	return c.result, c.why
}

func (c *comparer) differ(format string, args ...any) {
	if c.result != differ {
		c.result, c.why = differ, fmt.Sprintf(format, args...)
	}
}

// note keeps the verdict that says most.
func (c *comparer) note(v verdict) {
	if c.result == bothRead || c.result >= 0 && v == bothRefused {
		c.result = v
	}
}

// walk goes through the frames of in, of which the library alone is given one after the
// other. ended is how the reading of all of them ended.
func (c *comparer) walk(in []byte, ended error) {
	passes := 0 // bytes that the framer must have passed
	for len(in) > 0 && c.result >= 0 {
		whole, ok := c.whole(in)
		if !ok {
			break
		}
		hot := c.hot(whole)
		f, err := c.alone(whole)
		switch {
		case hot != nil && whole[0] == frameBody:
			if errors.Is(err, amqp.ErrFrameTooLarge) {
				c.note(onlyWeRead)
			} else if err != nil {
				c.differ("the library refuses a body frame: %v", err)
				return
			}
			c.body(hot, whole)
		case hot != nil && whole[0] == frameHeader && hot.expects == frameHeader:
			c.header(hot, f, err, whole)
		case err != nil:
			c.refused(ended, hot != nil && !librarys(whole))
			return
		case hot != nil && c.method(hot, f, whole):
		default:
			if !bytes.HasPrefix(c.passed[min(passes, len(c.passed)):], whole) {
				c.differ("the library was not given the frame %x, at %d", clipped(whole), passes)
			}
			passes += len(whole)
		}
		in = in[len(whole):]
	}
	if c.result < 0 {
		return
	}
	if len(c.ears.heard) > c.at && !c.loose {
		c.differ("%d events more than the library reads", len(c.ears.heard)-c.at)
	}
	if len(in) == 0 && (len(c.passed) != passes || !errors.Is(ended, io.EOF)) {
		c.differ("the library was given %d bytes, not %d, and then %v", len(c.passed), passes, ended)
	}
	if c.crooked && !errors.Is(ended, errEnd) {
		c.differ("a frame does not end where its head says; reading ended with %v", ended)
	}
}

// whole returns the first frame of in, false if it is none or not all there.
func (c *comparer) whole(in []byte) ([]byte, bool) {
	if len(in) < frameHead {
		c.note(cut)
		return nil, false
	}
	h, ok := parseHead(in)
	if !ok || h.size > maxFrame {
		c.note(bothRefused)
		return nil, false
	}
	n := frameHead + int(h.size) + 1
	if len(in) < n {
		c.note(cut)
		return nil, false
	}
	if in[n-1] != frameEnd {
		c.crooked = c.hot(in[:n]) != nil
		c.loose = !c.crooked
		c.note(bothRefused)
		return nil, false
	}
	return in[:n], true
}

// alone has the library read a frame and nothing else.
func (c *comparer) alone(whole []byte) (libraryFrame, error) {
	c.exact.Reset(whole)
	c.library.r = &c.exact
	f, err := readLibraryFrame(&c.library)
	if err == nil && c.exact.Len() > 0 {
		err = errors.New("it has read only a part of the frame")
	}
	return f, err
}

func (c *comparer) hot(whole []byte) *parts {
	channel := binary.BigEndian.Uint16(whole[1:])
	for i, number := range hotChannels {
		if channel == number && whole[0] != frameHeartbeat {
			return &c.content[i]
		}
	}
	return nil
}

// librarys reports whether a frame of a hot channel is the library's.
func librarys(whole []byte) bool {
	if whole[0] != frameMethod || len(whole) < frameHead+5 {
		return whole[0] == frameHeader
	}
	switch method(binary.BigEndian.Uint32(whole[frameHead:])) {
	case basicDeliver, basicReturn, basicAck, basicNack:
		return false
	default:
		return true
	}
}

// refused compares after a frame that the library refuses. If it is ours, nothing after it
// may have been heard.
func (c *comparer) refused(ended error, ours bool) {
	c.note(bothRefused)
	c.loose = !ours
	if ours && len(c.ears.heard) > c.at {
		c.differ("%d events after a frame that the library refuses", len(c.ears.heard)-c.at)
	}
	if ours && !errors.Is(ended, errMethod) {
		c.differ("the library refuses a method; reading ended with %v", ended)
	}
}

// method compares a frame of a hot channel, and returns false for one that is the library's.
func (c *comparer) method(hot *parts, f libraryFrame, whole []byte) bool {
	*hot = parts{}
	if whole[0] != frameMethod || librarys(whole) {
		return false
	}
	m := mirrored[libraryMethod](f)
	switch method(uint32(m.ClassId)<<16 | uint32(m.MethodId)) {
	case basicAck:
		ack := mirrored[libraryAck](m.Method)
		c.same(&heard{what: 'c', tag: ack.DeliveryTag, flag: ack.Multiple, ack: true})
	case basicNack:
		nack := mirrored[libraryNack](m.Method)
		c.same(&heard{what: 'c', tag: nack.DeliveryTag, flag: nack.Multiple})
	default:
		hot.expects, hot.method = frameHeader, f
	}
	return true
}

// header takes the content header that a channel expects.
func (c *comparer) header(hot *parts, f libraryFrame, err error, whole []byte) {
	hot.payload = whole[frameHead : len(whole)-1]
	if err == nil {
		hot.header = mirrored[libraryHeader](f)
	}
	if len(hot.payload) >= 12 {
		hot.size = binary.BigEndian.Uint64(hot.payload[4:])
	}
	hot.expects = frameBody
	if hot.size == 0 {
		c.complete(hot)
	}
}

// body takes a frame of a body. Without a header it ends the content, as in the library.
func (c *comparer) body(hot *parts, whole []byte) {
	if hot.expects != frameBody {
		*hot = parts{}
		return
	}
	hot.body = append(hot.body, whole[frameHead:len(whole)-1]...)
	if uint64(len(hot.body)) >= hot.size {
		c.complete(hot)
	}
}

// complete compares a content that is whole.
func (c *comparer) complete(hot *parts) {
	m := mirrored[libraryMethod](hot.method)
	want := heard{what: 'd', body: hot.body, size: hot.size}
	if method(uint32(m.ClassId)<<16|uint32(m.MethodId)) == basicDeliver {
		d := mirrored[libraryDeliver](m.Method)
		want.tag, want.flag, want.exchange, want.key = d.DeliveryTag, d.Redelivered, d.Exchange, d.RoutingKey
	} else {
		r := mirrored[libraryReturn](m.Method)
		want.what, want.exchange, want.key, want.reason = 'r', r.Exchange, r.RoutingKey, r.ReplyText
	}
	if got := c.same(&want); got != nil {
		c.properties(got, hot)
	}
	*hot = parts{}
}

// same compares the next event with want, but for its properties, and returns it.
func (c *comparer) same(want *heard) *heard {
	if c.at == len(c.ears.heard) {
		c.differ("%c %d was not heard", want.what, want.tag)
		return nil
	}
	got := &c.ears.heard[c.at]
	c.at++
	if got.what != want.what || got.tag != want.tag || got.flag != want.flag || got.ack != want.ack ||
		got.exchange != want.exchange || got.key != want.key || got.reason != want.reason {
		c.differ("heard %c %+v, want %c %+v", got.what, got, want.what, want)
		return nil
	}
	if want.what != 'd' {
		return got
	}
	if got.size != want.size {
		c.differ("a body of %d bytes, want %d", got.size, want.size)
	}
	if want.size > keptBody {
		want.body = nil // only its size is told
	} else {
		want.body = want.body[:want.size]
	}
	if !bytes.Equal(got.body, want.body) {
		c.differ("the body %q, want %q", clipped(got.body), clipped(want.body))
	}
	return got
}

// properties compares the properties of got with the library's.
func (c *comparer) properties(got *heard, hot *parts) {
	plain := got.broken == nil
	if got.what == 'r' { // a return does not tell
		var err error
		if len(hot.payload) >= 12 {
			_, err = message.ParseProperties(string(hot.payload[12:]))
		}
		plain = err == nil && len(hot.payload) >= 12
		got.broken = err
	}
	clean := plain && plainTable(got.properties.Headers.Append(nil)[4:], 0)
	switch {
	case hot.header == nil && !plain:
		// An event set aside, where the library ends the connection.
		c.note(onlyWeRead)
	case hot.header == nil && !clean:
		c.note(onlyWeRead)
	case hot.header == nil:
		c.differ("the library refuses properties that are read: %x", clipped(hot.payload))
	case !plain:
		c.note(onlyTheyRead)
		c.excused(got, hot)
	case clean:
		c.alike(&got.properties, &hot.header.Properties)
	default:
		c.note(onlyTheyRead) // a nested value is broken, of which the library reads something
	}
}

// excused compares why properties were refused that the library reads.
func (c *comparer) excused(got *heard, hot *parts) {
	var headers *message.HeadersError
	switch {
	case hot.payload[13]&3 != 0: // a flag of no property
	case strings.Contains(got.broken.Error(), "more bytes than their flags say"):
	case errors.As(got.broken, &headers):
		// An array that is longer than its table: the library ends it there.
		if !strings.Contains(got.properties.Headers.Rest, "A") {
			c.differ("a header table is refused (%v) that the library reads: %x", got.broken, clipped(hot.payload))
		}
	default:
		c.differ("properties are refused (%v) that the library reads: %x", got.broken, clipped(hot.payload))
	}
}

func (c *comparer) alike(p *message.Properties, q *libraryProperties) {
	for _, text := range [...][2]string{
		{p.ContentType, q.ContentType}, {p.ContentEncoding, q.ContentEncoding}, {p.CorrelationID, q.CorrelationId},
		{p.ReplyTo, q.ReplyTo}, {p.Expiration, q.Expiration}, {p.MessageID, q.MessageId}, {p.Type, q.Type}, {p.UserID, q.UserId},
		{p.AppID, q.AppId}, {p.ClusterID, q.reserved1},
	} {
		if text[0] != text[1] {
			c.differ("the property %q, want %q", text[0], text[1])
		}
	}
	stamp := uint64(0)
	if p.Has(message.HasTimestamp) {
		stamp = uint64(q.Timestamp.Unix()) //nolint:gosec // two's complement
	}
	if p.DeliveryMode != q.DeliveryMode || p.Priority != q.Priority || p.Timestamp != stamp {
		c.differ("delivery mode, priority, timestamp %d %d %d, want %d %d %d", p.DeliveryMode, p.Priority, p.Timestamp, q.DeliveryMode, q.Priority, stamp)
	}
	names := 0
	for i := range p.Headers.Fields {
		f, _ := p.Headers.Lookup(p.Headers.Fields[i].Name)
		v, ok := q.Headers[f.Name]
		if !ok || !sameValue(f.Value(&message.Budget{Depth: math.MaxInt, Elements: math.MaxInt}), v) {
			c.differ("the header %q is %#v, want %#v", f.Name, f.Value(&message.Budget{Depth: 99, Elements: 999}), v)
		}
		if !repeatedBefore(p.Headers.Fields[:i], f.Name) {
			names++
		}
	}
	if names != len(q.Headers) {
		c.differ("%d headers, want %d", names, len(q.Headers))
	}
}

func repeatedBefore(fields []message.Field, name string) bool {
	for i := range fields {
		if fields[i].Name == name {
			return true
		}
	}
	return false
}

// sameValue compares a header's value with the library's form of it.
func sameValue(ours, theirs any) bool {
	switch v := theirs.(type) {
	case bool, float64, string, nil:
		if f, ok := v.(float64); ok && math.IsNaN(f) {
			g, ok := ours.(float64)
			return ok && math.IsNaN(g)
		}
		return ours == v
	case int8, byte, int16, uint16, int32, uint32, int64:
		n, ok := ours.(int64)
		r := reflect.ValueOf(v)
		if r.CanUint() {
			return ok && uint64(n) == r.Uint() //nolint:gosec // at most 32 bits
		}
		return ok && n == r.Int()
	case float32:
		return sameValue(ours, float64(v))
	case amqp.Decimal:
		f := message.Field{Kind: message.KindDecimal, Raw: string(binary.BigEndian.AppendUint32([]byte{v.Scale}, uint32(v.Value)))} //nolint:gosec // two's complement
		text, _ := f.Decimal()
		return ours == text
	case time.Time:
		if t, ok := ours.(time.Time); ok {
			return t.Unix() == v.Unix()
		}
		return ours == v.Unix()
	case []byte:
		b, ok := ours.([]byte)
		return ok && bytes.Equal(b, v)
	case []any:
		return sameArray(ours, v)
	case amqp.Table:
		return sameTable(ours, v)
	default:
		return false
	}
}

func sameArray(ours any, theirs []any) bool {
	list, ok := ours.([]any)
	if !ok || len(list) != len(theirs) {
		return false
	}
	for i := range list {
		if !sameValue(list[i], theirs[i]) {
			return false
		}
	}
	return true
}

func sameTable(ours any, theirs amqp.Table) bool {
	pairs, ok := ours.(message.Pairs)
	if !ok {
		return false
	}
	last := map[string]any{}
	for _, p := range pairs {
		last[p.Name] = p.Value
	}
	for name, v := range theirs {
		if got, ok := last[name]; !ok || !sameValue(got, v) {
			return false
		}
	}
	return len(last) == len(theirs)
}

// The library's limits of a table, and the value types it does not know.
const (
	libraryDepth    = 32
	libraryElements = 8192
)

// plainTable reports whether a table's content is one that the library must read: its
// lengths are right at every depth, and it is within the library's limits.
func plainTable(b []byte, depth int) bool {
	if depth > libraryDepth {
		return false
	}
	for count := 0; len(b) > 0; count++ {
		n := 1 + int(b[0])
		if len(b) <= n || count >= libraryElements {
			return false
		}
		used, ok := plainValue(b[n:], depth)
		if !ok {
			return false
		}
		b = b[n+used:]
	}
	return true
}

// plainValue is plainTable of the value at the begin of b, and returns its size.
func plainValue(b []byte, depth int) (size int, ok bool) {
	kind := b[0]
	if i := strings.IndexByte("VtbBsuIifDldTSxAF", kind); i < 0 {
		return 0, false
	}
	switch kind {
	case 'S', 'x', 'A', 'F':
		if len(b) < 5 || binary.BigEndian.Uint32(b[1:]) > uint32(len(b)-5) { //nolint:gosec // a length
			return 0, false
		}
		size = 5 + int(binary.BigEndian.Uint32(b[1:]))
	case 'D':
		size = 6
	case 'V':
		size = 1
	case 't', 'b', 'B':
		size = 2
	case 's', 'u':
		size = 3
	case 'I', 'i', 'f':
		size = 5
	default:
		size = 9
	}
	if len(b) < size {
		return 0, false
	}
	switch kind {
	case 'F':
		return size, plainTable(b[5:size], depth+1)
	case 'A':
		return size, plainArray(b[5:size], depth+1)
	}
	return size, true
}

func plainArray(b []byte, depth int) bool {
	if depth > libraryDepth {
		return false
	}
	for count := 0; len(b) > 0; count++ {
		used, ok := plainValue(b, depth)
		if !ok || count >= libraryElements {
			return false
		}
		b = b[used:]
	}
	return true
}

func clipped(b []byte) []byte { return b[:min(len(b), sayAtMost)] }
