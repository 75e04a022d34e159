package frame

import (
	"bufio"
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// readBuffer is what one call of the kernel reads at most. The library asks for 4 KiB.
	readBuffer = 64 << 10
	// writeBuffer is how much may wait for the kernel before writers do.
	writeBuffer = 64 << 10
	// lastWrite is how long the end of a connection waits for what was written to it.
	lastWrite = 20 * time.Millisecond
)

// socket is the connection under amqp091-go.
//
// The library writes every publish and every acknowledgement by itself, while it holds
// a lock, and has no write deadline: a broker that stops reading would block a writer
// for ever, and closing the library's connection waits for the lock that writer holds.
// So a write is only taken here, and a goroutine gives the kernel all that was taken
// meanwhile at once.
type socket struct {
	net.Conn
	reader       *bufio.Reader // of what the kernel has read
	beforeRead   func()        // called by the reader before it asks the kernel; set before the first read, nil for nothing
	writeTimeout time.Duration
	lastWrite    time.Duration // how long Close waits for what waits
	opened       time.Time
	lastRead     atomic.Int64 // of the last bytes from the broker, since opened: wall clocks jump

	wake    chan struct{} // cap 1: something waits
	ended   chan struct{} // closed when err is set
	flushed chan struct{} // closed when the kernel is given nothing more

	// Guarded by mu.
	mu      sync.Mutex
	room    sync.Cond     // waiting has become less, or err is set
	written chan struct{} // closed and set to nil by the next write; nil while nobody waits for one
	waiting []byte
	err     error // why nothing more is taken
}

func newSocket(c net.Conn, writeTimeout time.Duration) *socket {
	s := &socket{
		Conn: c, writeTimeout: writeTimeout, lastWrite: lastWrite, opened: time.Now(),
		wake: make(chan struct{}, 1), ended: make(chan struct{}), flushed: make(chan struct{}),
	}
	s.room.L = &s.mu
	s.reader = bufio.NewReaderSize(readerFunc(s.receive), readBuffer)
	go s.flush() // ends with Close
	return s
}

// Write implements net.Conn. It takes p, and waits only while too much waits. That p
// was taken does not mean that it reaches the broker; when it does not, the socket is
// closed.
func (s *socket) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.err == nil && len(s.waiting) > 0 && len(s.waiting)+len(p) > writeBuffer {
		s.room.Wait()
	}
	if s.err != nil {
		return 0, s.err
	}
	if s.written != nil {
		close(s.written)
		s.written = nil
	}
	if len(s.waiting) == 0 {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	s.waiting = append(s.waiting, p...)
	return len(p), nil
}

// flush gives the kernel what waits, until the socket is closed. An error closes it:
// after a failed publish the library would leave the connection open, with half a
// frame on it, until a heartbeat fails too.
func (s *socket) flush() {
	defer close(s.flushed)
	var buffer []byte
	for last := false; !last; {
		select {
		case <-s.wake:
		case <-s.ended:
			last = true
		}
		runtime.Gosched() // goroutines that are about to write go first, so that one flush carries more
		buffer = s.take(buffer)
		if err := s.send(buffer); err != nil {
			s.end(err)
			_ = s.Conn.Close()
			return
		}
		if cap(buffer) > 4*writeBuffer {
			buffer = nil // of an event of many megabytes
		}
	}
}

// take returns what waits, and has spare used for what comes next.
func (s *socket) take(spare []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.waiting
	s.waiting = spare[:0]
	s.room.Broadcast()
	return out
}

// end makes writes fail from now on.
func (s *socket) end(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = why
		close(s.ended)
		s.room.Broadcast()
	}
}

// send goes on while the broker takes something within each writeTimeout: a slow
// network is not a dead one.
func (s *socket) send(p []byte) error {
	for len(p) > 0 {
		if err := s.SetWriteDeadline(time.Now().Add(s.writeTimeout)); err != nil {
			return err
		}
		n, err := s.Conn.Write(p)
		if err != nil && (n == 0 || !errors.Is(err, os.ErrDeadlineExceeded)) {
			return err
		}
		p = p[n:]
	}
	return nil
}

// Close implements net.Conn. What waits is sent if the kernel takes it at once: it
// may be the answer to a broker that closes the connection.
func (s *socket) Close() error {
	s.end(net.ErrClosed)
	t := time.NewTimer(s.lastWrite)
	defer t.Stop()
	select {
	case <-s.flushed:
	case <-t.C:
	}
	return s.Conn.Close()
}

// Read implements net.Conn.
func (s *socket) Read(p []byte) (int, error) { return s.reader.Read(p) }

// receive reads from the kernel.
func (s *socket) receive(p []byte) (int, error) {
	if s.beforeRead != nil {
		s.beforeRead()
	}
	n, err := s.Conn.Read(p)
	if n > 0 {
		s.lastRead.Store(int64(time.Since(s.opened)))
	}
	return n, err
}

// Written returns a channel that the next write closes.
func (s *socket) Written() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.written == nil {
		s.written = make(chan struct{})
	}
	return s.written
}

// readerFunc implements io.Reader.
type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// Silence is how long the broker has sent nothing.
func (s *socket) Silence() time.Duration {
	return time.Since(s.opened) - time.Duration(s.lastRead.Load())
}
