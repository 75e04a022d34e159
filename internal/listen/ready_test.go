package listen_test

import (
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"

	"github.com/warrenmesh/warren/internal/listen"
)

// lent is a pool that counts buffers.
type lent struct {
	out  int
	back chan struct{}
}

func (l *lent) Get(n int) *[]byte {
	l.out++
	b := make([]byte, n)
	return &b
}

func (l *lent) Put(*[]byte) {
	l.out--
	select {
	case l.back <- struct{}{}:
	default:
	}
}

type readyReader interface {
	ReadOnReady(size int, pool mem.BufferPool) (*[]byte, int, error)
}

// A sidecar is silent for days. With a buffer of gRPC's for each, 10,000 of them would
// hold 320 MB.
func TestASilentConnectionHoldsNoBuffer(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{"TCP": "127.0.0.1:0", "a unix socket": "unix:" + t.TempDir() + "/s"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := listen.Open(t.Context(), address)
			if err != nil {
				t.Fatal(err)
			}
			l = listen.Bound(l, listen.Bounds{Name: "events", Conns: 1, Protocol: listen.HTTP2, Logger: logTo(new(notes))})
			defer func() { _ = l.Close() }()
			client, err := new(net.Dialer).DialContext(t.Context(), l.Addr().Network(), l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = client.Close() }()
			conn, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			ready, ok := conn.(readyReader)
			if !ok {
				t.Fatalf("%T has no ReadOnReady", conn)
			}
			pool := &lent{back: make(chan struct{}, 1)}
			go func() { // writes once the reader has given its buffer back, to wait without
				<-pool.back
				_, _ = io.WriteString(client, "hello") // the reader says if it failed
			}()
			b, n, err := ready.ReadOnReady(64, pool)
			if err != nil || string((*b)[:n]) != "hello" || pool.out != 1 {
				t.Fatalf("read %d bytes, %v, with %d buffers", n, err, pool.out)
			}
			pool.Put(b)
			if err := client.Close(); err != nil {
				t.Fatal(err)
			}
			if _, n, err := ready.ReadOnReady(64, pool); n != 0 || !errors.Is(err, io.EOF) || pool.out != 0 {
				t.Errorf("at the end: %d bytes, %v, with %d buffers", n, err, pool.out)
			}
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
			if _, _, err := ready.ReadOnReady(64, pool); !errors.Is(err, net.ErrClosed) || pool.out != 0 {
				t.Errorf("closed: %v, with %d buffers", err, pool.out)
			}
		})
	}
}

// gRPC finds the method by its signature alone, which a new version might change.
func TestGRPCReadsWhenSomethingIsThere(t *testing.T) {
	t.Parallel()
	l := open(t, func(*listen.Bounds) {})
	healthServer(t, l)
	if _, err := dial(t, l).Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	stacks := make([]byte, 1<<20)
	for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		if strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "listen.(*conn).ReadOnReady") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("gRPC reads connections in another way: each may hold a buffer while it is silent")
		}
	}
}
