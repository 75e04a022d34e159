//go:build !unix

package listen

import (
	"net"

	"google.golang.org/grpc/mem"
)

// readable takes its buffer before there is something to read.
type readable struct{}

func (*readable) init(net.Conn) {}

func (*readable) read(c net.Conn, size int, pool mem.BufferPool) (*[]byte, int, error) {
	return readBlocking(c, size, pool)
}
