package proxy

import (
	"cmp"
	"errors"
	"log/slog"
	"time"

	"github.com/warrenmesh/warren/internal/listen"
	"github.com/warrenmesh/warren/internal/memory"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/xds"
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
	// Zone is where the sidecar runs: broker nodes of the same zone are preferred
	// among those of one priority. "" means no preference.
	Zone string
	// CredentialsDir holds a directory for each named credential with the files
	// username and password. They are read anew for each connection.
	CredentialsDir string

	// Listen are the addresses of the event API, "host:port" or "unix:path".
	// At least one is required; host must be loopback, for callers are not
	// authenticated.
	Listen []string
	// StatusListen serves /livez, /readyz, /startupz and /metrics; "" serves none.
	StatusListen string
	// ReadyRequiresBroker makes readiness depend on every broker: it must be reached, and
	// what is first to be declared there must have been tried.
	ReadyRequiresBroker bool
	// AdminListen serves operators by gRPC and HTTP (package admin), loopback only;
	// "" serves none.
	AdminListen string
	// NoReports tells the control plane nothing of brokers, topology and traffic.
	NoReports bool
	// NoReflection turns gRPC server reflection off, on the event API and for operators.
	NoReflection bool
	// AdminQuit lets operators stop the process by POST /quitquitquit, and AdminProfiles
	// read its profiles at /debug/pprof/.
	AdminQuit     bool
	AdminProfiles bool

	// MemoryLimit is how much memory the process may use, the base of the bounds below;
	// zero means that nobody limits it.
	MemoryLimit int64
	// MaxMessageBytes bounds one gRPC message; zero means 17 MiB: the largest event any
	// topic can allow and its attributes, or a batch of that size.
	MaxMessageBytes int
	// MaxConnections bounds the connections of each listener of the event API; zero
	// means 1,024, or one for each 256 KiB of MemoryLimit, or what the process's
	// descriptors allow if that is less.
	MaxConnections int

	// MaxInFlight bounds the events between their acceptance and the answer; zero
	// means 16,384. Above it unary calls get RESOURCE_EXHAUSTED and streams are read
	// no further.
	MaxInFlight int64
	// MaxInFlightBytes bounds their payloads and attributes in all; zero means a quarter
	// of MemoryLimit, at most 256 MiB.
	MaxInFlightBytes int64
	// MaxStreams bounds the Subscribe and PublishStream calls under way; zero means
	// 1,024, or one for each 256 KiB of MemoryLimit if that is less. One more is refused with RESOURCE_EXHAUSTED.
	MaxStreams int64

	// DrainTimeout bounds a graceful stop; zero means 10 s.
	DrainTimeout time.Duration

	// Memory is the broker behind EventBrokers of type Memory; nil means one of
	// this proxy's own. Proxies of one process share it by passing the same.
	Memory *membroker.Broker
	// MemoryOnly puts every broker into Memory, whatever its declared type: for
	// trying a configuration where its brokers are not (warren dev).
	MemoryOnly bool
	// LogLevel is the level of Logger, changed by operators at run time; nil means
	// that it cannot be.
	LogLevel *slog.LevelVar
	// Tracing is optional, and so are its metrics; nil means none.
	Tracing *tracing.Provider
	// Logger is required.
	Logger *slog.Logger
}

const (
	defaultDrainTimeout = 10 * time.Second
	defaultMaxMessage   = 17 << 20

	defaultMaxInFlight      = 16_384
	defaultMaxInFlightBytes = 256 << 20
	leastInFlightBytes      = 4 << 20
	inFlightShare           = 4 // the part of the memory
	defaultMaxStreams       = 1024
	leastStreams            = 64
	// streamBytes is what a stream may cost that does not read what it is answered.
	streamBytes = 256 << 10

	defaultMaxConnections = 1024
	leastConnections      = 64
	// connectionBytes is what a connection may cost, those that come and go counted.
	connectionBytes = 256 << 10
	// statusConnections is for probes and scrapes, adminConnections for operators.
	statusConnections = 64
	adminConnections  = 64
	// ownDescriptors are kept for brokers, the control plane and files.
	ownDescriptors = 64

	// Large requests of publish streams that wait to be dealt with, and results that
	// clients do not read.
	maxHeldBytes     = 128 << 20
	leastHeldBytes   = 4 << 20
	heldShare        = 16
	maxUnreadBytes   = 32 << 20
	leastUnreadBytes = 1 << 20
	unreadShare      = 16

	// maxPartialBytes bounds messages that have come in part, over all connections: an
	// eighth of the memory, but one message must always fit.
	maxPartialBytes = 128 << 20
	partialShare    = 8
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
		if err := listen.CheckLoopback(address); err != nil {
			errs = append(errs, err)
		}
	}
	if o.Logger == nil {
		errs = append(errs, errors.New("logger must not be nil"))
	}
	if o.DrainTimeout <= 0 {
		o.DrainTimeout = defaultDrainTimeout
	}
	o.MaxInFlight = cmp.Or(max(o.MaxInFlight, 0), defaultMaxInFlight)
	o.MaxInFlightBytes = cmp.Or(max(o.MaxInFlightBytes, 0),
		memory.Share(o.MemoryLimit, inFlightShare, leastInFlightBytes, defaultMaxInFlightBytes))
	o.MaxStreams = cmp.Or(max(o.MaxStreams, 0), streamsWithin(o.MemoryLimit))
	if o.MaxMessageBytes <= 0 {
		o.MaxMessageBytes = defaultMaxMessage
	}
	o.MaxConnections = cmp.Or(max(o.MaxConnections, 0),
		int(memory.Share(o.MemoryLimit, connectionBytes, leastConnections, defaultMaxConnections)))
	if o.Tracing == nil {
		o.Tracing = tracing.Disabled()
	}
	if o.Memory == nil {
		o.Memory = membroker.New(membroker.Options{})
	}
	return o, errors.Join(errs...)
}

// streamsWithin returns how many streams the memory allows.
func streamsWithin(limit int64) int64 {
	return memory.Share(limit, streamBytes, leastStreams, defaultMaxStreams)
}

// partialBytes is the bound of messages that have come in part.
func (o Options) partialBytes() int64 {
	return memory.Share(o.MemoryLimit, partialShare, int64(o.MaxMessageBytes)+1<<20, maxPartialBytes)
}

// connections returns how many connections a listener may have that should have want:
// all listeners together leave the process some descriptors of its own.
func (o Options) connections(want int) int {
	files := listen.Descriptors()
	if files <= 0 {
		return want
	}
	listeners := len(o.Listen) + 2
	return min(want, max((files-ownDescriptors)/listeners, 4))
}
