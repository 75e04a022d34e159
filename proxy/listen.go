package proxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
)

const (
	unixScheme = "unix:"
	// socketMode lets the service's group connect: in a pod the socket lies in a
	// volume whose group is the pod's fsGroup.
	socketMode = 0o660
)

// listen opens "host:port" or "unix:path". A socket left by a process that is
// gone is replaced; one that answers is an error.
func listen(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	path, unix := strings.CutPrefix(address, unixScheme)
	if !unix {
		l, err := lc.Listen(ctx, "tcp", address)
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", address, err)
		}
		return l, nil
	}
	path = filepath.Clean(path) // gRPC's own form is unix:///path
	if err := removeStale(ctx, path); err != nil {
		return nil, err
	}
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	if err := os.Chmod(path, socketMode); err != nil {
		return nil, errors.Join(fmt.Errorf("set mode of %s: %w", path, err), l.Close())
	}
	return l, nil
}

func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at %s: %w", path, err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("listen on %s: it exists and is not a socket", path)
	}
	var d net.Dialer
	if conn, err := d.DialContext(ctx, "unix", path); err == nil {
		_ = conn.Close() // only proved that somebody listens
		return fmt.Errorf("listen on %s: another process listens there", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove stale socket: %w", err)
	}
	return nil
}

// checkLoopback refuses addresses other hosts could reach, and sockets whose place
// depends on where the process was started.
func checkLoopback(address string) error {
	if path, unix := strings.CutPrefix(address, unixScheme); unix && !filepath.IsAbs(path) {
		return fmt.Errorf("listen address %q: want unix: and an absolute path", address)
	} else if unix || address == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("listen address %q: want host:port or unix:/path: %w", address, err)
	}
	if ip := net.ParseIP(host); host == "localhost" || (ip != nil && ip.IsLoopback()) {
		return nil
	}
	return fmt.Errorf("listen address %q: must be on loopback, such as 127.0.0.1: callers are not authenticated", address)
}

// target renders a listener's address as a gRPC target.
func target(l net.Listener) string {
	if l.Addr().Network() == "unix" {
		return unixScheme + l.Addr().String()
	}
	return l.Addr().String()
}
