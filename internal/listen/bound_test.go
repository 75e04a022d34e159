package listen_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/warrenmesh/warren/internal/listen"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// notes is a log that may be written to from any goroutine.
type notes struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.Write(p)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.String()
}

func logTo(n *notes) *slog.Logger { return slog.New(slog.NewTextHandler(n, nil)) }

// open returns a bound listener on loopback.
func open(t *testing.T, change func(*listen.Bounds)) net.Listener {
	t.Helper()
	l, err := listen.Open(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := listen.Bounds{Name: "events", Conns: 100, Protocol: listen.HTTP2, Logger: slog.New(slog.DiscardHandler)}
	change(&b)
	return listen.Bound(l, b)
}

// healthServer serves gRPC health on l with the options of the event API.
func healthServer(t *testing.T, l net.Listener, opts ...grpc.ServerOption) {
	t.Helper()
	s := grpc.NewServer(append(opts, listen.ServerOptions(100)...)...)
	healthv1.RegisterHealthServer(s, health.NewServer())
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}

func dial(t *testing.T, l net.Listener, opts ...grpc.DialOption) healthv1.HealthClient {
	t.Helper()
	conn, err := grpc.NewClient(l.Addr().String(), append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return healthv1.NewHealthClient(conn)
}

// raw is a client that speaks HTTP/2 frame by frame.
type raw struct {
	net.Conn
	*http2.Framer
	next uint32
}

func rawClient(t *testing.T, l net.Listener) *raw {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	r := &raw{Conn: c, Framer: http2.NewFramer(c, c), next: 1}
	_, _ = io.WriteString(c, http2.ClientPreface) // the server may have closed it already
	_ = r.WriteSettings()                         // as above
	return r
}

// call begins a call and returns its stream. The server may be about to close the
// connection.
func (r *raw) call(method string) uint32 {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", method}, {":authority", "localhost"},
		{"content-type", "application/grpc"}, {"te", "trailers"},
	} {
		_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}) // a buffer never fails
	}
	id := r.next
	r.next += 2
	_ = r.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true})
	return id
}

// gone waits until the server has closed the connection.
func (r *raw) gone(t *testing.T) {
	t.Helper()
	_ = r.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.Copy(io.Discard, r.Conn); errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
		t.Error("the connection is open still")
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

const check = "/grpc.health.v1.Health/Check"

func TestConnectionsThatSayNothingMakeRoomForThoseThatCall(t *testing.T) {
	t.Parallel()
	var log notes
	l := open(t, func(b *listen.Bounds) { b.Conns, b.Logger = 10, logTo(&log) })
	healthServer(t, l)
	working := dial(t, l)
	if _, err := working.Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	var idle []*raw
	for range 100 {
		idle = append(idle, rawClient(t, l))
	}
	for range 5 { // new callers come in, and those who have called are left alone
		if _, err := dial(t, l).Check(t.Context(), &healthv1.HealthCheckRequest{}, grpc.WaitForReady(true)); err != nil {
			t.Fatal(err)
		}
		if _, err := working.Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	idle[0].gone(t)
	if lines := strings.Count(log.String(), "\n"); lines == 0 || lines > 10 || !strings.Contains(log.String(), "limit=10") {
		t.Errorf("%d lines in the log of about 100 connections:\n%s", lines, log.String())
	}
}

func TestAConnectionBeyondTheLimitIsClosedWhenAllOthersWork(t *testing.T) {
	t.Parallel()
	l := open(t, func(b *listen.Bounds) { b.Conns = 3 })
	healthServer(t, l)
	var watching []healthv1.Health_WatchClient
	for range 3 {
		w, err := dial(t, l).Watch(t.Context(), &healthv1.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Recv(); err != nil {
			t.Fatal(err)
		}
		watching = append(watching, w)
	}
	rawClient(t, l).gone(t)
	if err := watching[0].CloseSend(); err != nil {
		t.Errorf("those at work were disturbed: %v", err)
	}
}

func TestResetsAreSlowedDownAndOthersAreNot(t *testing.T) {
	t.Parallel()
	l := open(t, func(*listen.Bounds) {})
	var seen atomic.Int64
	healthServer(t, l, grpc.InTapHandle(func(ctx context.Context, _ *tap.Info) (context.Context, error) {
		seen.Add(1)
		return ctx, nil
	}))
	others := dial(t, l)
	if _, err := others.Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	r := rawClient(t, l)
	go func() { _, _ = io.Copy(io.Discard, r.Conn) }() // ends with the connection
	flooding := make(chan struct{})
	go func() {
		defer close(flooding)
		for {
			if err := r.WriteRSTStream(r.call(check), http2.ErrCodeCancel); err != nil {
				return
			}
		}
	}()
	defer func() { _ = r.Close(); <-flooding }()
	reach := func(n int64) time.Time { // and others are served meanwhile
		for seen.Load() < n {
			if _, err := others.Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
				t.Fatal(err)
			}
			seen.Add(-1)
		}
		return time.Now()
	}
	// 1,000 at once, the connection's burst; after that 500 a second.
	begin := reach(1500)
	if took := reach(2500).Sub(begin); took < time.Second {
		t.Errorf("1000 resets in %s, want about 2 s", took)
	}
}

func TestMessagesThatAreNeverWholeEndTheirConnection(t *testing.T) {
	t.Parallel()
	cut := make(chan int64, 10)
	l := open(t, func(b *listen.Bounds) {
		b.Partial = listen.NewPartial(256<<10, func(n int64) { cut <- n })
	})
	healthServer(t, l)
	honest := dial(t, l)
	r := rawClient(t, l)
	// 10 streams of which each promises 60,000 bytes and sends all but one.
	for range 10 {
		id := r.call(check)
		piece := append([]byte{0, 0, 0, 0xea, 0x60}, make([]byte, 59_999)...)
		for len(piece) > 0 {
			n := min(16<<10, len(piece))
			if err := r.WriteData(id, false, piece[:n]); err != nil {
				break
			}
			piece = piece[n:]
		}
	}
	r.gone(t)
	if n := <-cut; n < 200<<10 || n > 320<<10 {
		t.Errorf("cut at %d bytes, want about 256 KiB", n)
	}
	if _, err := honest.Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
		t.Errorf("an honest caller: %v", err)
	}
}

func TestMessagesThatAreEndedAreNotCountedAnyMore(t *testing.T) {
	t.Parallel()
	l := open(t, func(b *listen.Bounds) {
		b.Partial = listen.NewPartial(128<<10, func(n int64) { t.Errorf("cut with %d bytes", n) })
	})
	healthServer(t, l)
	r := rawClient(t, l)
	for range 50 { // 40 KB each, 2 MB in all, one at a time
		id := r.call(check)
		half := append([]byte{0, 0, 0, 0xea, 0x60}, make([]byte, 10_000)...)
		for range 4 {
			if err := r.WriteData(id, false, half); err != nil {
				t.Fatal(err)
			}
			half = half[5:]
		}
		if err := r.WriteRSTStream(id, http2.ErrCodeCancel); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.WritePing(false, [8]byte{1}); err != nil {
		t.Fatal(err)
	}
	for { // the ping's answer comes after all of that was read
		f, err := r.ReadFrame()
		if err != nil {
			t.Fatalf("the connection ended: %v", err)
		}
		if p, ok := f.(*http2.PingFrame); ok && p.IsAck() && p.Data == [8]byte{1} {
			return
		}
	}
}

func TestCompressedRequestsAreRefusedAndNothingIsUnpacked(t *testing.T) {
	t.Parallel()
	l := open(t, func(*listen.Bounds) {})
	healthServer(t, l)
	c := dial(t, l)
	bomb := &healthv1.HealthCheckRequest{Service: strings.Repeat("a", 3<<20)}
	if _, err := c.Check(t.Context(), bomb, grpc.UseCompressor(gzip.Name)); status.Code(err) != codes.Unimplemented {
		t.Errorf("unary: %v, want UNIMPLEMENTED", err)
	}
	w, err := c.Watch(t.Context(), bomb, grpc.UseCompressor(gzip.Name))
	if err == nil {
		_, err = w.Recv()
	}
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("stream: %v, want UNIMPLEMENTED", err)
	}
	if _, err := c.Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
		t.Errorf("uncompressed: %v", err)
	}
}

// exhausted fails to accept as a process without descriptors does, three times.
type exhausted struct {
	net.Listener
	failures int
}

func (e *exhausted) Accept() (net.Conn, error) {
	if e.failures > 0 {
		e.failures--
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	return e.Listener.Accept()
}

func TestAcceptsThatFailAreLoggedInTheLogsFormatAndTriedAgain(t *testing.T) {
	t.Parallel()
	var log notes
	inner, err := listen.Open(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := listen.Bound(&exhausted{inner, 3}, listen.Bounds{Name: "status", Conns: 10, Protocol: listen.HTTP1, Logger: logTo(&log)})
	s := listen.HTTPServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }), false, logTo(&log))
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	if n := strings.Count(log.String(), `level=WARN msg="connection not accepted" listener=status`); n != 3 {
		t.Errorf("%d lines of 3 accepts that failed:\n%s", n, log.String())
	}
}
