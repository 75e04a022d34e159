package hostile

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"

	"google.golang.org/grpc/encoding"
	"google.golang.org/protobuf/proto"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

// packed is a compressor that always sends the same message, compressed in advance. An
// attack must cost the attacker less than the sidecar; otherwise the test itself slows
// everything down.
type packed struct{}

const unpacked = 15 << 20

var bomb = sync.OnceValue(func() []byte {
	message, err := proto.Marshal(&eventsv1.PublishRequest{Topic: Topic, Event: withData("bomb", unpacked)})
	if err != nil {
		return nil
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(message) // writing to memory never fails
	_ = w.Close()
	return b.Bytes()
})

func init() { encoding.RegisterCompressor(packed{}) }

// Name implements encoding.Compressor.
func (packed) Name() string { return "gzip" }

// Compress implements encoding.Compressor.
func (packed) Compress(w io.Writer) (io.WriteCloser, error) { return &packing{w}, nil }

// Decompress implements encoding.Compressor.
func (packed) Decompress(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }

type packing struct{ to io.Writer }

// Write implements io.Writer.
func (p *packing) Write(b []byte) (int, error) { return len(b), nil }

// Close implements io.Closer.
func (p *packing) Close() error {
	_, err := p.to.Write(bomb())
	return err
}

// resetStreams opens and resets streams on one connection until the connection is
// closed.
func resetStreams(ctx context.Context, target string) (n int64, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", target)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	var reading sync.WaitGroup
	reading.Go(func() { _, _ = io.Copy(io.Discard, conn) })
	defer reading.Wait()
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+frame(4, 0, 0, "")); err != nil {
		return 0, err
	}
	for id := uint32(1); ; {
		var b strings.Builder
		for range 64 {
			b.WriteString(frame(1, 4, id, callHeaders) + frame(3, 0, id, "\x00\x00\x00\x08"))
			id += 2
		}
		if _, err := io.WriteString(conn, b.String()); err != nil {
			return n, err
		}
		n += 64
	}
}

// callHeaders begin a call of Publish, in HPACK without a dynamic table.
var callHeaders = "\x83\x86" + literal(":path", "/warren.events.v1.EventService/Publish") + literal(":authority", "localhost") +
	literal("content-type", "application/grpc") + literal("te", "trailers")

func literal(name, value string) string {
	return string([]byte{0, byte(len(name))}) + name + string([]byte{byte(len(value))}) + value
}

// frame builds an HTTP/2 frame.
func frame(kind, flags byte, stream uint32, payload string) string {
	head := []byte{0, byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	return string(binary.BigEndian.AppendUint32(head, stream)) + payload
}
