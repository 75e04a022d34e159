package cejson

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/event/eventjson"
)

// ReaderOptions tune a Reader.
type ReaderOptions struct {
	// MaxEventBytes bounds the JSON text of one event; a longer one is a bad
	// record. 0 means 32 MiB, which holds the largest event in base64.
	MaxEventBytes int
}

// Record is one event of an input, or what stands in its place.
type Record struct {
	// Line is where it begins, from 1.
	Line int
	// Event is nil when Err is set.
	Event *event.Event
	// Err says why this is no event; the ones after it can still be read.
	Err error
}

// Reader splits an input into events. It takes NDJSON, events over several lines,
// events one after another, or one JSON array of events; gzip is recognised by its
// first bytes. In NDJSON a broken line costs only itself: the reader goes on at
// the next line that can begin an event. It holds one event at a time.
type Reader struct {
	src   io.Reader
	in    *bufio.Reader // nil before the first Next
	max   int
	line  int // of the next byte
	buf   []byte
	state state
	fatal error // answer to every later Next
}

// state is where in the input the reader stands.
type state int

const (
	atStart  state = iota // nothing but white space so far
	inStream              // events one after another
	wantItem              // in the array, before an event
	wantNext              // in the array, after an event
	pastEnd               // after the array
)

// NewReader makes a Reader; nothing is read before the first Next.
func NewReader(r io.Reader, o ReaderOptions) *Reader {
	return &Reader{src: r, max: cmp.Or(o.MaxEventBytes, 32<<20), line: 1}
}

// Next returns the next record, or io.EOF. Another error means that the rest of
// the input cannot be read; it names the line.
func (r *Reader) Next() (Record, error) {
	if r.fatal != nil {
		return Record{}, r.fatal
	}
	rec, err := r.next()
	if err != nil {
		r.fatal = err
	}
	return rec, err
}

func (r *Reader) next() (Record, error) {
	if r.in == nil {
		if err := r.open(); err != nil {
			return Record{}, err
		}
	}
	for {
		c, err := r.skipSpace()
		if errors.Is(err, io.EOF) && (r.state == wantItem || r.state == wantNext) {
			return Record{}, fmt.Errorf("line %d: the array does not end; want ]", r.line)
		}
		if err != nil {
			return Record{}, err
		}
		switch {
		case r.state == atStart && c == '[':
			r.state = wantItem
		case r.state == wantNext && c == ',':
			r.state = wantItem
		case (r.state == wantNext || r.state == wantItem) && c == ']':
			r.state = pastEnd
		case r.state == wantItem && c == '{':
			r.state = wantNext
			return r.record()
		case r.state == wantItem || r.state == wantNext:
			return Record{}, fmt.Errorf("line %d: unexpected %q in the array; want events with commas between", r.line, c)
		case r.state == pastEnd:
			return Record{}, fmt.Errorf("line %d: unexpected text after the array", r.line)
		case c == '{':
			r.state = inStream
			return r.record()
		default:
			r.state = inStream
			rec := Record{Line: r.line, Err: errors.New("not JSON: an event begins with {")}
			return rec, r.skipLine(c)
		}
	}
}

func (r *Reader) open() error {
	in := bufio.NewReaderSize(r.src, 64<<10)
	if magic, err := in.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		unzipped, err := gzip.NewReader(in)
		if err != nil {
			return fmt.Errorf("read gzip: %w", err)
		}
		in = bufio.NewReaderSize(unzipped, 64<<10)
	}
	if mark, err := in.Peek(3); err == nil && bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = in.Discard(len(mark)) // just peeked
	}
	r.in = in
	return nil
}

// skipSpace returns the first byte that is no white space.
func (r *Reader) skipSpace() (byte, error) {
	for {
		c, err := r.readByte()
		if err != nil || !isSpace(c) {
			return c, err
		}
	}
}

func (r *Reader) readByte() (byte, error) {
	c, err := r.in.ReadByte()
	if c == '\n' {
		r.line++
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("line %d: read: %w", r.line, err)
	}
	return c, err
}

// record reads on from the opening brace to the matching one.
func (r *Reader) record() (Record, error) {
	line := r.line
	v := value{stack: []byte{'{'}, last: '{'}
	r.buf = append(r.buf[:0], '{')
	long := false
	for len(v.stack) > 0 {
		c, err := r.readByte()
		if errors.Is(err, io.EOF) {
			return r.broken(line, "the event ends too early"), nil
		}
		if err != nil {
			return Record{}, err
		}
		if v.restart(c) {
			_ = r.in.UnreadByte() // just read
			return r.broken(line, "the event is cut off at the end of its line"), nil
		}
		if !v.step(c) {
			return r.broken(line, fmt.Sprintf("unexpected %q", c)), r.skipLine(c)
		}
		if long = long || len(r.buf) >= r.max; !long {
			r.buf = append(r.buf, c)
		}
	}
	if long {
		return Record{Line: line, Err: fmt.Errorf("longer than %d bytes", r.max)}, nil
	}
	rec := Record{Line: line}
	rec.Event, rec.Err = eventjson.Decode(r.buf)
	return rec, nil
}

// broken answers for an event whose end was not found. Lines tell where the next
// one begins; inside an array nothing does, so it is the last record there.
func (r *Reader) broken(line int, why string) Record {
	if r.state != inStream {
		r.fatal = fmt.Errorf("line %d: the rest of the array cannot be read", line)
	}
	return Record{Line: line, Err: errors.New("not JSON: " + why)}
}

// skipLine reads to the end of the line that c, the last byte read, is on.
func (r *Reader) skipLine(c byte) error {
	for c != '\n' {
		var err error
		if c, err = r.readByte(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// value follows the structure of one JSON value just far enough to see its end
// and where a line broke it off.
type value struct {
	stack   []byte // open braces and brackets
	quoted  bool   // inside a string
	escaped bool   // after a backslash
	fresh   bool   // only white space since the last line break
	last    byte   // last byte that is no white space, outside strings
}

// restart reports whether c begins a new event on a new line although this one has
// not ended: a brace where JSON allows none.
func (v *value) restart(c byte) bool {
	if c != '{' || v.quoted || !v.fresh {
		return false
	}
	inArray := v.stack[len(v.stack)-1] == '['
	return v.last != ':' && (!inArray || (v.last != ',' && v.last != '['))
}

// step takes the next byte; false means that it cannot stand there.
func (v *value) step(c byte) bool {
	if v.quoted {
		switch {
		case c == '\n':
			return false
		case v.escaped:
			v.escaped = false
		case c == '\\':
			v.escaped = true
		case c == '"':
			v.quoted = false
		}
		return true
	}
	if isSpace(c) {
		v.fresh = v.fresh || c == '\n'
		return true
	}
	v.fresh, v.last = false, c
	switch c {
	case '"':
		v.quoted = true
	case '{', '[':
		v.stack = append(v.stack, c)
	case '}', ']':
		if v.stack[len(v.stack)-1] != c-2 { // '{' and '[' stand two before in ASCII
			return false
		}
		v.stack = v.stack[:len(v.stack)-1]
	}
	return true
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
