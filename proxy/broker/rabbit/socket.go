package rabbit

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// socket is the connection under amqp091-go. The library has no write deadline:
// a broker that stops reading would block a writer for ever, and closing the
// library's connection waits for the lock that writer holds.
type socket struct {
	net.Conn
	writeTimeout time.Duration
	opened       time.Time
	lastRead     atomic.Int64 // of the last bytes from the broker, since opened: wall clocks jump
}

func newSocket(c net.Conn, writeTimeout time.Duration) *socket {
	return &socket{Conn: c, writeTimeout: writeTimeout, opened: time.Now()}
}

// Write implements net.Conn. It goes on while the broker takes something within each
// writeTimeout: a slow network is not a dead one. An error closes the socket: after a
// failed publish the library would leave the connection open, with half a frame on
// it, until a heartbeat fails too.
func (s *socket) Write(p []byte) (int, error) {
	written := 0
	for {
		n, err := s.writeSome(p[written:])
		written += n
		switch {
		case err == nil:
			return written, nil
		case n == 0 || !errors.Is(err, os.ErrDeadlineExceeded):
			_ = s.Close()
			return written, err
		}
	}
}

func (s *socket) writeSome(p []byte) (int, error) {
	if err := s.SetWriteDeadline(time.Now().Add(s.writeTimeout)); err != nil {
		return 0, err
	}
	return s.Conn.Write(p)
}

// Read implements net.Conn.
func (s *socket) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if n > 0 {
		s.lastRead.Store(int64(time.Since(s.opened)))
	}
	return n, err
}

// silence is how long the broker has sent nothing.
func (s *socket) silence() time.Duration {
	return time.Since(s.opened) - time.Duration(s.lastRead.Load())
}
