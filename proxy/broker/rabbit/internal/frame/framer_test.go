package frame

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

// recorder is a taker that takes everything down.
type recorder struct{ said []string }

func (r *recorder) Deliver(m *message.Message) {
	r.said = append(r.said, fmt.Sprintf("deliver %d %s %s %q of %d (%v)", m.Tag, m.Exchange, m.RoutingKey, m.Body, m.Size, m.Broken))
}

func (r *recorder) GiveBack(b Returned) {
	r.said = append(r.said, fmt.Sprintf("return %s %s %s %s", b.Exchange, b.Key, b.Reason, &b.Properties.Headers))
}

func (r *recorder) Confirm(tag uint64, multiple, ack bool) {
	r.said = append(r.said, fmt.Sprintf("confirm %d %t %t", tag, multiple, ack))
}

// readFramer returns a framer that reads what chunks give, in pieces of their sizes.
func readFramer(in io.Reader) *Framer {
	return &Framer{socket: &socket{reader: bufio.NewReaderSize(in, 512)}}
}

// brokersMethod is a method as the broker sends it.
func brokersMethod(channel uint16, m method, fill func([]byte) []byte) []byte {
	return appendFrame(nil, frameMethod, channel, func(b []byte) []byte { return fill(appendMethod(b, m)) })
}

func deliverFrames(channel uint16, tag uint64, body string, bodyFrame int) []byte {
	b := brokersMethod(channel, basicDeliver, func(b []byte) []byte {
		b = appendShort(b, "consumer")
		b = append(binary.BigEndian.AppendUint64(b, tag), 1)
		return appendShort(appendShort(b, "x"), "k")
	})
	return append(b, content(channel, body, bodyFrame)...)
}

func returnFrames(channel uint16, body string) []byte {
	b := brokersMethod(channel, basicReturn, func(b []byte) []byte {
		return appendShort(appendShort(appendShort(append(b, 1, 56), "NO_ROUTE"), "x"), "k")
	})
	return append(b, content(channel, body, 100)...)
}

// content is a content header and a body of frames of n bytes.
func content(channel uint16, body string, n int) []byte {
	p := message.Properties{}
	p.Headers.AddText("h", "v")
	b := appendFrame(nil, frameHeader, channel, func(b []byte) []byte {
		b = binary.BigEndian.AppendUint64(append(b, 0, 60, 0, 0), uint64(len(body)))
		return p.Append(b)
	})
	for part := range slices.Chunk([]byte(body), n) {
		b = appendFrame(b, frameBody, channel, func(b []byte) []byte { return append(b, part...) })
	}
	return b
}

func TestFramesOfHotChannelsAreKeptAndAllOthersPass(t *testing.T) {
	t.Parallel()
	const hot, library = 3, 4
	ack := brokersMethod(hot, basicAck, func(b []byte) []byte { return append(binary.BigEndian.AppendUint64(b, 9), 1) })
	nack := brokersMethod(hot, basicNack, func(b []byte) []byte { return append(binary.BigEndian.AppendUint64(b, 10), 0) })
	consumeOK := brokersMethod(hot, 60<<16|21, func(b []byte) []byte { return appendShort(b, "consumer") })
	heartbeat := appendFrame(nil, frameHeartbeat, 0, func(b []byte) []byte { return b })
	closing := brokersMethod(hot, channelClose, func(b []byte) []byte { return append(appendShort(append(b, 1, 1), "why"), 0, 0, 0, 0) })
	large := strings.Repeat("z", 5000)
	theirs := deliverFrames(library, 1, "theirs", 3)

	var stream, passed []byte
	feed := func(b []byte, passes bool) {
		stream = append(stream, b...)
		if passes {
			passed = append(passed, b...)
		}
	}
	feed(consumeOK, true)
	feed(deliverFrames(hot, 1, "one", 2), false)
	feed(heartbeat, true)
	feed(theirs, true)
	feed(ack, false)
	feed(deliverFrames(hot, 2, "", 1), false)
	feed(deliverFrames(hot, 3, large, 1000), false)
	feed(returnFrames(hot, "it is not read"), false)
	feed(nack, false)
	feed(deliverFrames(hot, 4, strings.Repeat("w", 6000), 4000), false)
	feed(deliverFrames(hot, 5, "two", 10), false)
	feed(closing, true)

	r := &recorder{}
	f := readFramer(&chunked{b: stream, r: rand.New(rand.NewPCG(1, 2))})
	f.opened.Store(hot)
	f.Heat(r, 5000)
	got, err := io.ReadAll(struct{ io.Reader }{f})
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(passed) {
		t.Errorf("the library read\n%q\nwant\n%q", got, passed)
	}
	want := []string{
		`deliver 1 x k "one" of 3 (<nil>)`, "confirm 9 true true", `deliver 2 x k "" of 0 (<nil>)`,
		fmt.Sprintf("deliver 3 x k %q of 5000 (<nil>)", large), "return x k NO_ROUTE {h}", "confirm 10 false false",
		`deliver 4 x k "" of 6000 (<nil>)`, `deliver 5 x k "two" of 3 (<nil>)`,
	}
	if !slices.Equal(r.said, want) {
		t.Errorf("taken\n%q\nwant\n%q", r.said, want)
	}
}

// chunked reads in pieces of random sizes.
type chunked struct {
	b []byte
	r *rand.Rand
}

func (c *chunked) Read(p []byte) (int, error) {
	if len(c.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.b[:min(len(c.b), 1+c.r.IntN(40))])
	c.b = c.b[n:]
	return n, nil
}

func TestWhatIsNoFrameIsTheLibrarysToRefuse(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"AMQP\x00\x00\x09\x01", "\x01\x00\x01\xff\xff\xff\xff rest of it", "HTTP/1.1 400 Bad"} {
		f := readFramer(strings.NewReader(in))
		got, err := io.ReadAll(struct{ io.Reader }{f})
		if len(got) == 0 || !strings.HasPrefix(in, string(got)) || err != nil {
			t.Errorf("of %q the library read %q (%v)", in, got, err)
		}
	}
}

// FuzzFramer reads anything, in any pieces: nothing is lost of what is the library's, and
// nothing panics.
func FuzzFramer(f *testing.F) {
	f.Add(deliverFrames(1, 1, "one", 2), uint8(3))
	f.Add(append(returnFrames(1, "x"), deliverFrames(2, 1, "", 1)...), uint8(1))
	f.Add(append(deliverFrames(1, 1, "one", 2)[:30], deliverFrames(1, 2, "cut before", 2)...), uint8(50))
	f.Fuzz(func(t *testing.T, in []byte, size uint8) {
		fr := readFramer(iotestReader{in: in, n: int(size) + 1}.reader())
		fr.opened.Store(1)
		fr.Heat(&recorder{}, 1<<20)
		got, _ := io.ReadAll(struct{ io.Reader }{fr})
		if len(got) > len(in) {
			t.Fatalf("read %d bytes of %d", len(got), len(in))
		}
	})
}

// iotestReader gives n bytes at a time.
type iotestReader struct {
	in []byte
	n  int
}

func (r iotestReader) reader() io.Reader {
	var parts []io.Reader
	for part := range slices.Chunk(r.in, r.n) {
		parts = append(parts, strings.NewReader(string(part)))
	}
	return io.MultiReader(parts...)
}

// The library cuts its frames at its buffer's size, and others write meanwhile: what
// reaches the broker is whole frames, and none of a channel that the library has closed.
func TestFramesAreWrittenAtTheBoundsOfTheLibrarys(t *testing.T) {
	t.Parallel()
	near, far := loopback(t)
	f := NewFramer(near, patience)
	s := f.socket
	t.Cleanup(func() { _, _ = s.Close(), far.Close() })
	library := func(b []byte) {
		if _, err := f.Write(b); err != nil {
			t.Error(err)
		}
	}
	open := func(channel uint16) []byte {
		return brokersMethod(channel, channelOpen, func(b []byte) []byte { return append(b, 0) })
	}
	done := make(chan map[string]int)
	go func() { done <- countFrames(t, far) }()

	library([]byte("AMQP\x00\x00\x09\x01"))
	library(open(7))
	hot := f.Heat(&recorder{}, 0)
	const rounds = 300
	var writers sync.WaitGroup
	writers.Go(func() {
		r := rand.New(rand.NewPCG(3, 4))
		frame := appendFrame(nil, frameMethod, 1, func(b []byte) []byte { return append(b, strings.Repeat("l", 5000)...) })
		for range rounds {
			for rest := frame; len(rest) > 0; {
				n := min(len(rest), 1+r.IntN(3000))
				library(rest[:n])
				rest = rest[n:]
			}
		}
	})
	for range 2 {
		writers.Go(func() {
			for i := range rounds {
				body := strings.Repeat("h", i*100)
				frames := appendPublish(nil, hot.number, "x", "k", true, &message.Properties{MessageID: "m"}, len(body))
				if err := f.send(hot, frames, []byte(body), 4096); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	library(brokersMethod(7, channelCloseOK, func(b []byte) []byte { return b }))
	if err := f.send(hot, []byte("not to be written"), nil, 4096); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a frame on a closed channel: %v", err)
	}
	library(open(7)) // the number is another channel's now
	if f.channels[7].Load() != nil {
		t.Error("the old channel has the new one's number")
	}
	_ = s.Close()
	got := <-done
	if got["library"] != rounds || got["publish"] != 2*rounds || got["header"] != 2*rounds || got["bodyBytes"] != 2*100*rounds*(rounds-1)/2 {
		t.Errorf("the broker got %v", got)
	}
}

// countFrames reads whole frames until the end.
func countFrames(t *testing.T, in io.Reader) map[string]int {
	got := map[string]int{}
	r := bufio.NewReader(in)
	_, _ = r.Discard(protocolHeader)
	for {
		b, err := r.Peek(frameHead)
		if err != nil {
			return got
		}
		h, ok := parseHead(b)
		whole := make([]byte, frameHead+int(h.size)+1)
		if _, err := io.ReadFull(r, whole); err != nil || !ok || whole[len(whole)-1] != frameEnd {
			t.Errorf("no frame: %q (%v)", whole[:min(len(whole), 40)], err)
			return got
		}
		switch {
		case h.channel == 1:
			got["library"]++
		case h.kind == frameMethod && method(binary.BigEndian.Uint32(whole[frameHead:])) == basicPublish:
			got["publish"]++
		case h.kind == frameHeader:
			got["header"]++
		case h.kind == frameBody:
			got["bodyBytes"] += int(h.size)
		}
	}
}
