package toxic

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo sends every connection its own bytes back, until the test ends.
func echo(t *testing.T) (address string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn); _ = conn.Close() }()
		}
	}()
	return l.Addr().String()
}

func link(t *testing.T) *Link {
	t.Helper()
	l, err := New().Link(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// dial connects through l and checks that the connection works.
func dial(t *testing.T, l *Link) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	roundTrip(t, conn, "hello")
	return conn
}

func roundTrip(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	back := make([]byte, len(text))
	if _, err := io.ReadFull(conn, back); err != nil || string(back) != text {
		t.Fatalf("got %q back, %v", back, err)
	}
}

func TestALinkPassesAndCounts(t *testing.T) {
	t.Parallel()
	l := link(t)
	conn := dial(t, l)
	l.Latency(time.Millisecond, 0)
	l.Slice(1)
	l.Bandwidth(1000)
	roundTrip(t, conn, "slowly")
	l.Heal()
	roundTrip(t, conn, "fast")
	if up, down := l.Passed(); up != 15 || down != 15 {
		t.Errorf("%d bytes up and %d down, want 15", up, down)
	}
}

func TestABlackHoleSwallowsAndClosesOnlyWhenHealed(t *testing.T) {
	t.Parallel()
	l := link(t)
	conn := dial(t, l)
	l.BlackHole()
	if _, err := io.WriteString(conn, "lost"); err != nil {
		t.Fatal(err)
	}
	for l.Swallowed() != 4 {
		if err := t.Context().Err(); err != nil {
			t.Fatal(err)
		}
	}
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read of a half-open connection says %v, want a timeout", err)
	}
	_ = conn.SetReadDeadline(time.Time{})
	l.Heal()
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("a connection that lost bytes goes on")
	}
	dial(t, l)
}

func TestACutResetsAndANewConnectionWorks(t *testing.T) {
	t.Parallel()
	l := link(t)
	conn := dial(t, l)
	if err := l.Cut(); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("read of a cut connection says %v, want a reset", err)
	}
	dial(t, l)
}

func TestScissorsCutWithinAFrame(t *testing.T) {
	t.Parallel()
	l := link(t)
	conn := dial(t, l)
	l.CutAfter(3)
	if _, err := io.WriteString(conn, "frame"); err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(conn)
	if n := l.CutConnections(); n != 1 || len(got) > 3 {
		t.Errorf("%d connections cut after %q, want one after at most 3 bytes", n, got)
	}
	l.Heal()
	dial(t, l)
}

// A link must not hang when its connections break while its weather changes.
func TestTheWeatherChangesWhileConnectionsBreak(t *testing.T) {
	t.Parallel()
	l := link(t)
	var writing sync.WaitGroup
	for range 8 {
		conn := dial(t, l)
		writing.Go(func() { // nobody reads the echo, so that every buffer becomes full
			for data := make([]byte, 64<<10); ; {
				if _, err := conn.Write(data); err != nil {
					return
				}
			}
		})
	}
	for range 20 {
		l.Slice(1)
		l.Bandwidth(10)
		l.Latency(time.Second, 0)
		l.CutAfter(100)
		if err := l.Cut(); err != nil {
			t.Fatal(err)
		}
		l.Heal()
	}
	writing.Wait()
	dial(t, l)
}
