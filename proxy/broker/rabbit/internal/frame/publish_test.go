package frame

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

func TestAFurtherHeaderIsTheLastOfThePublish(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 8))
	text := func() string { return strings.Repeat("t", r.IntN(3)*r.IntN(100)) }
	for range 500 {
		p := message.Properties{ContentType: text(), ContentEncoding: text(), MessageID: text(), Type: text(), DeliveryMode: uint8(r.IntN(3))}
		for range r.IntN(4) {
			p.Headers.AddText("h"+text(), text())
		}
		body := bytes.Repeat([]byte("b"), r.IntN(3)*r.IntN(300))
		encoded, _ := AppendPublish(nil, "x", text(), true, &p, body, 4096)
		before := "what is there before"
		got := AppendWithHeader([]byte(before), encoded, message.Field{Name: "further", Kind: message.KindText, Raw: "value"})
		want := []byte(before)
		key := string(encoded[frameHead+4+2+2+1:][:encoded[frameHead+4+2+2]])
		p.Headers.AddText("further", "value")
		if want, _ = AppendPublish(want, "x", key, true, &p, body, 4096); !bytes.Equal(got, want) {
			t.Fatalf("got  %q\nwant %q", got, want)
		}
	}
}

func TestWhatWouldBlockIsNotTried(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe() // takes nothing until it is read
	f := NewFramer(near, time.Minute)
	defer func() { _ = f.Close() }()
	f.opened.Store(3)
	hot := f.Heat(&recorder{}, 0)
	frames, _ := AppendPublish(nil, "x", "k", true, &message.Properties{}, make([]byte, 8<<10), 1<<17)
	tried := 0
	for hot.TrySend(frames) {
		if tried++; tried > 100 {
			t.Fatal("all that was tried was taken, by a socket that nobody reads")
		}
	}
	if tried < 4 {
		t.Errorf("%d publishes were taken, of 8 KiB each", tried)
	}
	got := make(chan map[string]int, 1)
	go func() {
		read, write := io.Pipe()
		go func() {
			_, _ = write.Write(make([]byte, protocolHeader))
			_, err := io.Copy(write, far)
			_ = write.CloseWithError(err)
		}()
		got <- countFrames(t, read)
	}()
	f.lastWrite = time.Minute
	_ = f.Close()
	_ = far.Close()
	if n := (<-got)["publish"]; n != tried {
		t.Errorf("%d publishes were written, want the %d that were taken", n, tried)
	}
}
