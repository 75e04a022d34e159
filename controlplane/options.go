package controlplane

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/warrenmesh/warren/controlplane/status"
	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/xds/server"
)

// Addresses of the listeners that Options leave out.
const (
	DefaultXDSListen    = "127.0.0.1:17430"
	DefaultStatusListen = "127.0.0.1:17431"
	DefaultAdminListen  = "127.0.0.1:17440"
)

// Options configures a ControlPlane. Every listen address is "host:port", where
// port 0 lets the system choose, or "unix:path".
type Options struct {
	// Dir is the directory of YAML files to serve; required.
	Dir string
	// XDSListen is where sidecars connect; default DefaultXDSListen.
	XDSListen string
	// AdminListen is where MeshService answers; default DefaultAdminListen. It must
	// be on loopback or a socket: callers are not authenticated.
	AdminListen string
	// StatusListen is where /livez, /readyz and /metrics answer; default
	// DefaultStatusListen.
	StatusListen string
	// NoReflection turns gRPC server reflection of the mesh API off.
	NoReflection bool
	// NoReports takes no reports of sidecars: status knows nothing of brokers and traffic.
	NoReports bool
	// Version of this program, for GetStatus; "" is shown as it is.
	Version string
	// Logger logs which sets come into force and which are refused; nil discards it.
	Logger *slog.Logger
	// Tracing gets a trace for each set that is read, down to the answers of the
	// sidecars, and the metrics; nil makes none.
	Tracing *tracing.Provider
	// StatusWriter is given the status of each object when it changed, on a goroutine
	// of its own; nil means the Logger, at level Debug.
	StatusWriter status.Writer
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Limits bound what sidecars can make the control plane hold.
	Limits server.Limits
	// Poll is how often the directory is read without a notification; default 5s.
	Poll time.Duration
}

func (o *Options) complete() error {
	if o.Dir == "" {
		return errors.New("options: Dir is empty: name the directory of the declared objects")
	}
	for _, d := range []struct {
		field *string
		value string
	}{
		{&o.XDSListen, DefaultXDSListen}, {&o.AdminListen, DefaultAdminListen}, {&o.StatusListen, DefaultStatusListen},
	} {
		if *d.field == "" {
			*d.field = d.value
		}
		if err := checkAddress(*d.field); err != nil {
			return err
		}
	}
	if err := checkLoopback(o.AdminListen); err != nil {
		return err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.StatusWriter == nil {
		o.StatusWriter = status.LogWriter(o.Logger)
	}
	if o.Tracing == nil {
		o.Tracing = tracing.Disabled()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return nil
}

func checkAddress(address string) error {
	if path, ok := strings.CutPrefix(address, unixScheme); ok {
		if strings.Trim(path, "/") == "" {
			return fmt.Errorf("listen address %q: want unix:path", address)
		}
		return nil
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return fmt.Errorf("listen address %q: want host:port or unix:path: %w", address, err)
	}
	return nil
}

// checkLoopback refuses addresses that other hosts could reach.
func checkLoopback(address string) error {
	if strings.HasPrefix(address, unixScheme) {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("listen address %q: %w", address, err)
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("admin listen address %q: must be on loopback, such as %s: callers are not authenticated", address, DefaultAdminListen)
}
