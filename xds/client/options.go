package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/tracing/configuration"
	"github.com/warrenmesh/warren/xds"
)

// Options configure a Client.
type Options struct {
	// Server is the control plane as a gRPC target: "host:port" or "unix:path".
	// Required.
	Server string
	// DialOptions are added to the client's own, credentials above all. Without
	// credentials among them the connection is plaintext. Proxies of the
	// environment are not used.
	DialOptions []grpc.DialOption
	// Node says who is asking. ID and Namespace are required.
	Node xds.Node
	// Introduce adds to Node what is known by the time a stream is opened: where the
	// sidecar listens. nil adds nothing.
	Introduce func(*xds.Node)
	// StateFile is where the last good configuration is kept. "" keeps none.
	StateFile string
	// Topics are asked for from the start, before any Await.
	Topics []mesh.Name
	// MaxTopics bounds how many topics are asked for at once. 0 means 10,000. When
	// it is reached a name known not to exist makes room; without one, Await fails
	// with ErrTooManyTopics.
	MaxTopics int
	// Apply puts a new configuration in force, or none of it. What it refuses is
	// NACKed with the reason, like a resource that does not decode; then the rest
	// comes again without it. One goroutine calls it, one call at a time. It must
	// return soon, because nothing is read from the control plane meanwhile. Required.
	Apply func(*Snapshot) Refusals
	// Beside is called when the control plane has first answered on a connection, by a
	// goroutine of its own, to speak other services there. Its ctx ends with the xDS
	// stream, and it must return then. nil speaks nothing else.
	Beside func(ctx context.Context, conn grpc.ClientConnInterface)
	// OnStatus is called when Status says another LastError, by the goroutine that calls
	// Apply. nil means that nobody needs to know.
	OnStatus func()
	// Tracing gets a span for each Apply that a traced push made due; nil makes none.
	Tracing *configuration.Tracer
	// Logger takes what happens to the connection and to resources. Required.
	Logger *slog.Logger
	// NewTopics is how many names that turn out not to exist may be asked for at once;
	// 0 means 256. A sixteenth of it comes back each second. Beyond it Await fails
	// with ErrTooManyNewTopics: publishers can make names up, and each name costs the
	// control plane an answer.
	NewTopics int
	// ForgetAfter is how long a name that is not known to exist stays asked for after
	// it was last wanted; 0 means 1 min. Topics are not forgotten.
	ForgetAfter time.Duration
	// MissingAfter is how long a topic that was asked for on a live stream may stay
	// unanswered before it counts as not existing. 0 means 15 s (xDS: "knowing when a
	// requested resource does not exist").
	MissingAfter time.Duration
	// Backoff returns the delay before a reconnect after n connections in a row that
	// brought nothing new; n is 0 when the last one did, or lasted for half a minute.
	// A response alone does not count: the same failure may follow it each time. nil
	// means full jitter over 100 ms, doubling from n = 2 on, at most 10 s.
	Backoff func(n int) time.Duration
	// SaveDelay gathers changes before the state file is written. 0 means 1 s. A
	// graceful stop writes at once.
	SaveDelay time.Duration
}

const (
	defaultMissingAfter = 15 * time.Second
	defaultSaveDelay    = time.Second
	defaultMaxTopics    = 10_000
	defaultNewTopics    = 256
	defaultForgetAfter  = time.Minute
	// recovery is the part of NewTopics that is available again each second.
	recovery = 1.0 / 16
	// missingBurst lines about names that do not exist are logged at once, and then one
	// every missingEvery.
	missingBurst = 20
	missingEvery = 10 * time.Second

	backoffBase = 100 * time.Millisecond
	backoffMax  = 10 * time.Second
)

// withDefaults validates the options and fills in what is zero.
func (o Options) withDefaults() (Options, error) {
	switch {
	case o.Server == "":
		return o, errors.New("client options: Server is empty")
	case o.Apply == nil:
		return o, errors.New("client options: Apply is nil")
	case o.Logger == nil:
		return o, errors.New("client options: Logger is nil")
	}
	if _, err := xds.ParseNode(o.Node.Proto()); err != nil {
		return o, fmt.Errorf("client options: %w", err)
	}
	if o.MaxTopics == 0 {
		o.MaxTopics = defaultMaxTopics
	}
	if o.NewTopics == 0 {
		o.NewTopics = defaultNewTopics
	}
	if o.ForgetAfter == 0 {
		o.ForgetAfter = defaultForgetAfter
	}
	if o.MissingAfter == 0 {
		o.MissingAfter = defaultMissingAfter
	}
	if o.SaveDelay == 0 {
		o.SaveDelay = defaultSaveDelay
	}
	if o.Backoff == nil {
		o.Backoff = fullJitter
	}
	if o.OnStatus == nil {
		o.OnStatus = func() {}
	}
	if len(o.Topics) > o.MaxTopics {
		return o, fmt.Errorf("client options: %d topics, MaxTopics is %d", len(o.Topics), o.MaxTopics)
	}
	return o, nil
}

// fullJitter spreads reconnects over the whole interval, so that sidecars cut off
// together do not come back together.
func fullJitter(n int) time.Duration {
	ceiling := mesh.Backoff{Base: backoffBase, Max: backoffMax}.Delay(uint32(min(max(n, 1), 32)))
	return rand.N(ceiling) + 1
}
