package proxy

import (
	"errors"
	"log/slog"
	"time"

	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/mesh"
)

// Options configure a Proxy.
type Options struct {
	// Node is the identity of the workload. ID and Namespace are required.
	Node xds.Node
	// ControlPlane is where the configuration comes from, "host:port" or
	// "unix:path". Required.
	ControlPlane string
	// Topics are loaded at the start instead of at their first use.
	Topics []mesh.Name
	// StateDir keeps the last good configuration; "" keeps none.
	StateDir string
	// CredentialsDir holds a directory for each named credential with the files
	// username and password. They are read anew for each connection.
	CredentialsDir string

	// Listen are the addresses of the event API, "host:port" or "unix:path".
	// At least one is required; host must be loopback, for callers are not
	// authenticated.
	Listen []string
	// StatusListen serves /livez, /readyz and /startupz; "" serves none.
	StatusListen string
	// AdminListen serves the operator's HTTP endpoints, loopback only; "" serves
	// none.
	AdminListen string
	// NoReflection turns gRPC server reflection off.
	NoReflection bool
	// MaxMessageBytes bounds one gRPC message; zero means 17 MiB, enough for the
	// largest event a topic can allow.
	MaxMessageBytes int

	// DrainTimeout bounds a graceful stop; zero means 10 s.
	DrainTimeout time.Duration

	// Memory is the broker behind EventBrokers of type Memory; nil means one of
	// this proxy's own. Proxies of one process share it by passing the same.
	Memory *membroker.Broker
	// MemoryOnly puts every broker into Memory, whatever its declared type: for
	// trying a configuration where its brokers are not (warren dev).
	MemoryOnly bool
	// Tracing is optional; nil means none.
	Tracing *tracing.Provider
	// Logger is required.
	Logger *slog.Logger
}

const (
	defaultDrainTimeout = 10 * time.Second
	defaultMaxMessage   = 17 << 20
)

func (o Options) withDefaults() (Options, error) {
	var errs []error
	if o.Node.ID == "" || o.Node.Namespace == "" {
		errs = append(errs, errors.New("node: id and namespace must not be empty"))
	}
	if o.ControlPlane == "" {
		errs = append(errs, errors.New("control plane: address must not be empty"))
	}
	if len(o.Listen) == 0 {
		errs = append(errs, errors.New("listen: at least one address is needed"))
	}
	for _, address := range append([]string{o.AdminListen}, o.Listen...) {
		if err := checkLoopback(address); err != nil {
			errs = append(errs, err)
		}
	}
	if o.Logger == nil {
		errs = append(errs, errors.New("logger must not be nil"))
	}
	if o.DrainTimeout <= 0 {
		o.DrainTimeout = defaultDrainTimeout
	}
	if o.MaxMessageBytes <= 0 {
		o.MaxMessageBytes = defaultMaxMessage
	}
	if o.Tracing == nil {
		o.Tracing = tracing.Disabled()
	}
	if o.Memory == nil {
		o.Memory = membroker.New(membroker.Options{})
	}
	return o, errors.Join(errs...)
}
