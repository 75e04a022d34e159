package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
)

const (
	unixScheme = "unix:"
	// socketMode lets the group of the socket's directory connect.
	socketMode = 0o660
)

// openListener opens "host:port" or "unix:path". A socket left behind by a process that
// is gone is replaced; one that answers is an error.
func openListener(ctx context.Context, address string) (net.Listener, error) {
	network, at := "tcp", address
	if path, ok := strings.CutPrefix(address, unixScheme); ok {
		network, at = "unix", strings.TrimPrefix(path, "//") // unix:///path as gRPC writes it
		if err := removeStale(ctx, at); err != nil {
			return nil, err
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, network, at)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	if network == "unix" {
		if err := os.Chmod(at, socketMode); err != nil {
			return nil, errors.Join(fmt.Errorf("set mode of %s: %w", at, err), l.Close())
		}
	}
	return l, nil
}

func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at socket %s: %w", path, err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("listen on %s: it exists and is not a socket", path)
	}
	if conn, err := new(net.Dialer).DialContext(ctx, "unix", path); err == nil {
		_ = conn.Close() // it only proved that somebody listens
		return fmt.Errorf("listen on %s: another process listens there", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove stale socket: %w", err)
	}
	return nil
}

// target renders a listener's address as a gRPC target.
func target(l net.Listener) string {
	if l.Addr().Network() == "unix" {
		return unixScheme + l.Addr().String()
	}
	return l.Addr().String()
}
