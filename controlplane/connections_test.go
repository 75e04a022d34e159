package controlplane

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/warrenmesh/warren/xds/server"
)

// Peers of the xDS port are not authenticated: those that only connect must neither pile
// up nor keep a sidecar away.
func TestIdleConnectionsOfTheXDSPortAreBounded(t *testing.T) {
	t.Parallel()
	cp := launch(t, shopDir(t), func(o *Options) { o.Limits = server.Limits{Streams: 2} })
	const most = 2 + spareConnections
	var open []net.Conn
	for range 2 * most {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", cp.XDSAddr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		open = append(open, c)
	}
	eventually(t, "the oldest silent connections are closed", func() bool { return closed(open) == most })
	connect(t, cp, "billing").readAll("billing")
	eventually(t, "one more has made room for the sidecar", func() bool { return closed(open) == most+1 })
}

// closed counts the connections that the other end has closed.
func closed(conns []net.Conn) (n int) {
	for _, c := range conns {
		_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
		for {
			_, err := c.Read(make([]byte, 1<<10)) // the settings of HTTP/2 come first
			if err == nil {
				continue
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				n++
			}
			break
		}
	}
	return n
}
