//go:build unix

package listen

import (
	"errors"
	"io"
	"net"
	"syscall"

	"google.golang.org/grpc/mem"
)

// readable reads a socket with a buffer that it takes once there is something to read,
// so that a silent connection holds none. It belongs to the goroutine that reads.
type readable struct {
	socket syscall.RawConn // nil when the connection is no socket
	try    func(fd uintptr) (done bool)

	// Of one read.
	pool mem.BufferPool
	size int
	into *[]byte
	n    int
	err  error
}

func (r *readable) init(c net.Conn) {
	var s syscall.Conn
	switch c := c.(type) {
	case *net.TCPConn:
		s = c
	case *net.UnixConn:
		s = c
	default: // what is read from its descriptor may be encrypted
		return
	}
	socket, err := s.SyscallConn()
	if err != nil {
		return // it is closed: Read says so
	}
	r.socket, r.try = socket, r.attempt
}

// attempt is called until it returns true, and again only when the socket may be
// readable.
func (r *readable) attempt(fd uintptr) bool {
	r.into = r.pool.Get(r.size)
	for {
		r.n, r.err = syscall.Read(int(fd), *r.into) //nolint:gosec // a descriptor is small
		if !errors.Is(r.err, syscall.EINTR) {
			break
		}
	}
	if r.err != nil {
		r.pool.Put(r.into)
		r.into = nil
	}
	return !errors.Is(r.err, syscall.EAGAIN)
}

// read returns a buffer of the pool's with what has come, or an error.
func (r *readable) read(c net.Conn, size int, pool mem.BufferPool) (*[]byte, int, error) {
	if r.socket == nil {
		return readBlocking(c, size, pool)
	}
	r.pool, r.size = pool, size
	err := r.socket.Read(r.try)
	into, n := r.into, r.n
	if err == nil {
		err = r.err
	}
	if err == nil && n == 0 {
		err = io.EOF
	}
	r.pool, r.into, r.n, r.err = nil, nil, 0, nil
	if err != nil {
		if into != nil {
			pool.Put(into)
		}
		return nil, 0, err
	}
	return into, n, nil
}
