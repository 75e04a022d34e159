package frame

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// patience bounds every wait of a test.
const patience = 4 * time.Minute

// counted is a connection that counts the writes, and holds each until it is let go.
type counted struct {
	net.Conn
	began  chan struct{} // gets a value when a write begins
	letGo  chan struct{}
	writes atomic.Int32
}

func (c *counted) Write(p []byte) (int, error) {
	c.writes.Add(1)
	c.began <- struct{}{}
	<-c.letGo
	return c.Conn.Write(p)
}

// loopback returns the two ends of a connection.
func loopback(t *testing.T) (near, far net.Conn) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	near, err = new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return near, far
}

// pipe returns a socket and its peer.
func pipe(t *testing.T) (*socket, *counted, net.Conn) {
	t.Helper()
	near, far := loopback(t)
	c := &counted{Conn: near, began: make(chan struct{}, 100), letGo: make(chan struct{})}
	s := newSocket(c, patience)
	t.Cleanup(func() { _, _ = s.Close(), far.Close() })
	return s, c, far
}

func TestWhatIsWrittenMeanwhileIsWrittenTogether(t *testing.T) {
	t.Parallel()
	s, c, far := pipe(t)
	write := func(text string) {
		t.Helper()
		if _, err := s.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	write("a")
	<-c.began
	var want strings.Builder
	want.WriteString("a")
	for range 100 {
		write("bcd")
		want.WriteString("bcd")
	}
	close(c.letGo)
	got := make([]byte, want.Len())
	if _, err := io.ReadFull(far, got); err != nil || string(got) != want.String() {
		t.Errorf("read %q, %v", got, err)
	}
	if n := c.writes.Load(); n != 2 {
		t.Errorf("%d writes, want 2", n)
	}
}

func TestWritersWaitForRoomAndLearnOfTheEnd(t *testing.T) {
	t.Parallel()
	s, c, far := pipe(t)
	_, _ = s.Write([]byte("a"))
	<-c.began
	_, _ = s.Write(make([]byte, writeBuffer))
	var writing sync.WaitGroup
	var err error
	over := make(chan struct{})
	writing.Go(func() {
		_, err = s.Write([]byte("over"))
		close(over)
	})
	select {
	case <-over:
		t.Error("a write found room where there is none")
	case <-time.After(20 * time.Millisecond):
	}
	_ = far.Close()
	_ = s.Close()
	writing.Wait()
	if !errors.Is(err, net.ErrClosed) {
		t.Errorf("the write that waited ends with %v", err)
	}
	if _, err := s.Write(nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write after the end: %v", err)
	}
	close(c.letGo)
}

func TestALastWordIsSentBeforeTheEnd(t *testing.T) {
	t.Parallel()
	for range 50 { // whoever comes first, the flush or the end
		s, c, far := pipe(t)
		s.lastWrite = patience
		close(c.letGo)
		_, _ = s.Write([]byte("close-ok"))
		_ = s.Close()
		if got, err := io.ReadAll(far); err != nil || string(got) != "close-ok" {
			t.Fatalf("read %q, %v", got, err)
		}
	}
}

func TestAPeerThatTakesNothingEndsTheSocket(t *testing.T) {
	t.Parallel()
	s, c, _ := pipe(t)
	s.writeTimeout = 20 * time.Millisecond
	close(c.letGo)
	var err error
	for err == nil {
		_, err = s.Write(make([]byte, writeBuffer))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, net.ErrClosed) {
		t.Errorf("writes end with %v", err)
	}
	if _, err := s.Read(make([]byte, 1)); err == nil {
		t.Error("the socket can be read, so it is not closed")
	}
}

// TestManySmallReadsAskTheKernelOnce shows that the library's small reads are served
// from what was read before.
func TestTheNextWriteIsTold(t *testing.T) {
	t.Parallel()
	s, c, _ := pipe(t)
	close(c.letGo)
	if _, err := s.Write([]byte("before")); err != nil {
		t.Fatal(err)
	}
	written := s.Written()
	select {
	case <-written:
		t.Fatal("a write is told that came before")
	default:
	}
	if _, err := s.Write([]byte("after")); err != nil {
		t.Fatal(err)
	}
	<-written
	select {
	case <-s.Written():
		t.Error("a write is told again")
	default:
	}
}

func TestManySmallReadsAskTheKernelOnce(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	s := newSocket(near, patience)
	defer func() { _, _ = s.Close(), far.Close() }()
	go func() { _, _ = far.Write([]byte("abcdef")) }() // of a pipe: taken by one read, or by many
	for _, want := range "abcdef" {
		got := make([]byte, 1)
		if _, err := s.Read(got); err != nil || string(got) != string(want) {
			t.Fatalf("read %q, %v", got, err)
		}
		_ = far.SetWriteDeadline(time.Now()) // fails the write if not all was taken at once
	}
	if s.reader.Buffered() != 0 || s.Silence() > time.Minute {
		t.Errorf("%d bytes are left, silent for %v", s.reader.Buffered(), s.Silence())
	}
}
