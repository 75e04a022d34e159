package listen

import (
	"bytes"
	"encoding/binary"
	"testing"

	"golang.org/x/net/http2"
)

// FuzzFrames: however a connection is cut into reads, the same frames are seen as by
// the real reader, and nothing of it is counted for ever.
func FuzzFrames(f *testing.F) {
	var b bytes.Buffer
	fr := http2.NewFramer(&b, nil)
	_ = fr.WriteSettings()                                                              // a buffer never fails
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{1}}) // as above
	_ = fr.WriteDataPadded(1, false, []byte{0, 0, 0, 0, 3, 1, 2}, make([]byte, 7))      // as above
	_ = fr.WriteData(1, true, []byte{3})                                                // as above
	_ = fr.WriteRSTStream(3, http2.ErrCodeCancel)                                       // as above
	f.Add(b.Bytes(), uint8(3))
	f.Add(b.Bytes(), uint8(200))
	f.Add([]byte("GET / HTTP/1.1\r\n"), uint8(1))
	f.Fuzz(func(t *testing.T, stream []byte, step uint8) {
		var want, got []frame
		r := http2.NewFramer(nil, bytes.NewReader(stream))
		r.SetMaxReadFrameSize(1<<24 - 1)
		for rest := stream; len(rest) >= frameHeader; {
			n := int(binary.BigEndian.Uint32(append([]byte{0}, rest[:3]...)))
			want = append(want, frame{rest[3], rest[4], binary.BigEndian.Uint32(rest[5:9]) & 0x7fffffff, uint32(n)})
			rest = rest[min(len(rest), frameHeader+n):]
		}
		var all Partial
		p := &partials{all: &all, close: func() {}, streams: map[uint32]*unfinished{}}
		all.most, all.conns, all.onCut = 1<<40, map[*partials]struct{}{}, func(int64) {}
		s := frames{toMatch: preface}
		rest := append(bytes.Clone(preface), stream...)
		for len(rest) > 0 {
			n := min(len(rest), int(step)+1)
			s.scan(rest[:n], func(fr frame) {
				got = append(got, fr)
				if fr.kind == frameReset {
					p.end(fr.stream)
				}
			}, p.data)
			rest = rest[n:]
		}
		if len(got) != len(want) {
			t.Fatalf("%d frames, want %d", len(got), len(want))
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("frame %d is %v, want %v", i, got[i], want[i])
			}
		}
		var held int64
		for _, u := range p.streams {
			held += u.held
		}
		if held != p.bytes.Load() || held != all.total.Load() || int(p.count.Load()) != len(p.streams) || held > int64(len(stream)) {
			t.Fatalf("streams hold %d, the connection %d, all %d, of %d", held, p.bytes.Load(), all.total.Load(), len(stream))
		}
		p.endAll()
		if all.total.Load() != 0 || len(all.conns) != 0 {
			t.Fatalf("a connection that ended leaves %d bytes", all.total.Load())
		}
	})
}

func BenchmarkScanOneEvent(b *testing.B) {
	var buf bytes.Buffer
	fr := http2.NewFramer(&buf, nil)
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: make([]byte, 40), EndHeaders: true}) // a buffer never fails
	_ = fr.WriteData(1, true, append([]byte{0, 0, 0, 1, 0x2c}, make([]byte, 300)...))                            // as above
	p := &partials{all: NewPartial(1<<20, nil), close: func() {}, streams: map[uint32]*unfinished{}}
	var s frames
	b.ReportAllocs()
	data := p.data
	for b.Loop() {
		s.scan(buf.Bytes(), func(frame) {}, data)
	}
}
