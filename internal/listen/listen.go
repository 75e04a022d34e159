// Package listen opens Warren's listeners and bounds what their callers can take:
// connections, HTTP/2 resets, bytes of messages that are not whole yet, and time.
//
// It owns addresses, sockets and what is counted on the wire, not what is served.
// Whoever calls is not authenticated, so each bound is there against a caller that
// means harm, and must not cost others anything. Everything is safe for concurrent use.
//
//	l, err := listen.Open(ctx, "unix:/run/warren/warren.sock")
//	l = listen.Bound(l, listen.Bounds{Conns: 1024, HTTP2: listen.Always, Logger: logger})
//	server := grpc.NewServer(listen.ServerOptions(1024)...)
package listen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

const (
	unixScheme = "unix:"
	// socketMode lets the service's group connect: in a pod the socket lies in a
	// volume whose group is the pod's fsGroup.
	socketMode = 0o660
)

// Open opens "host:port" or "unix:path". It replaces a socket left by a process that
// is gone; a socket that answers is an error. The socket is made in a private
// directory and moved to its place once its mode is set, so that nobody else can
// connect earlier.
func Open(ctx context.Context, address string) (net.Listener, error) {
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
	if err := checkFree(ctx, path); err != nil {
		return nil, err
	}
	l, err := bindPrivately(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return l, nil
}

// bindPrivately makes the socket and moves it to path, over what is there.
func bindPrivately(ctx context.Context, path string) (l net.Listener, err error) {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".w") // mode 0700; a socket's path is short
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var lc net.ListenConfig
	l, err = lc.Listen(ctx, "unix", filepath.Join(dir, "s"))
	if err != nil {
		return nil, err
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // it has been moved, as a rule
	}
	private := filepath.Join(dir, "s")
	if err = os.Chmod(private, socketMode); err == nil {
		err = os.Rename(private, path)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &socket{Listener: l, path: path, remove: sync.OnceValue(func() error { return os.Remove(path) })}, nil
}

// socket is a listener on a socket that was moved to path.
type socket struct {
	net.Listener
	path   string
	remove func() error
}

// Addr implements net.Listener.
func (s *socket) Addr() net.Addr { return &net.UnixAddr{Net: "unix", Name: s.path} }

// Close implements net.Listener. It removes the socket, unless that is gone already.
func (s *socket) Close() error {
	err := s.Listener.Close()
	if gone := s.remove(); !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}

// checkFree refuses a path unless it is free or holds a socket on which nobody
// listens.
func checkFree(ctx context.Context, path string) error {
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
	return nil
}

// CheckLoopback refuses addresses that other hosts could reach, and relative socket
// paths, whose place depends on the working directory. "" means no listener and is
// valid.
func CheckLoopback(address string) error {
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

// Target renders a listener's address as a gRPC target.
func Target(l net.Listener) string {
	if l.Addr().Network() == "unix" {
		return unixScheme + l.Addr().String()
	}
	return l.Addr().String()
}
