package conn

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"
)

// Options configures a node: its connections, and the rooms that use them. Zero values mean
// the defaults.
type Options struct {
	// Address is the node's host:port. Required.
	Address string
	// VHost is the virtual host. Default "/".
	VHost string
	// Credentials returns what to log in with. It is called before each dial, so
	// rotated files are picked up, and its result is never kept or logged. It must
	// not block for long. nil means guest/guest.
	Credentials func() (username, password string, err error)
	// ConnectionName shows up in the broker's tools, followed by " publish" or
	// " consume". Default "warren".
	ConnectionName string
	// Heartbeat is the interval proposed to the broker, whole seconds. Default 10s.
	Heartbeat time.Duration
	// Window is how many publishes may be unconfirmed on each publish channel.
	// Default 256.
	Window int
	// Channels is the most publish channels. Each exchange has one of its own, and a
	// partitioned one four, opened on first use; what comes after Channels of them
	// shares theirs. Default 32.
	Channels int
	// MaxHeaderBytes limits the encoded AMQP header table of one message; it must
	// fit one frame. Default 64 KiB.
	MaxHeaderBytes int
	// MaxDataBytes limits the data of one message; the broker closes the channel
	// above its own limit. Default 16 MiB, RabbitMQ's default since 4.0.
	MaxDataBytes int

	// DialTimeout bounds TCP connect and AMQP handshake together. Default 5s.
	DialTimeout time.Duration
	// WriteTimeout is how long the broker may take nothing of a write to the socket
	// before the connection is lost. Default 3s.
	WriteTimeout time.Duration
	// CallTimeout bounds the calls the broker must answer (open, declare, consume);
	// after it the connection is lost. Default 10s.
	CallTimeout time.Duration
	// CloseTimeout bounds waiting for confirms and for the closing handshake when
	// Run ends. Default 2s.
	CloseTimeout time.Duration
	// ConfirmWatch is how long unconfirmed publishes, consumers and calls may wait on
	// a connection that is silent, even when asked, before it counts as dead. Default
	// 3s.
	ConfirmWatch time.Duration

	// QueueCheck is how long a consumer without deliveries waits before it asks
	// whether its queue still has it: the broker's notice may not come. Default 30s.
	QueueCheck time.Duration
	// TopologyCheck is how often a node declares again what it has declared, in case
	// somebody deleted it. Default 30s.
	TopologyCheck time.Duration

	// MinBackoff and MaxBackoff bound the delay between tries to connect, which
	// doubles and is fully jittered. Defaults 50ms and 5s.
	MinBackoff, MaxBackoff time.Duration
	// SlowBackoff is the least delay after the broker refused the credentials, the
	// vhost or the user; up to as much again is added. Default 5s.
	SlowBackoff time.Duration

	// OnState is called when State may have changed, by any goroutine. It must return at
	// once. nil means that nobody needs to know.
	OnState func()
	// Logger gets changes of the connections' state. nil discards them.
	Logger *slog.Logger
	// Dial opens the network connection. nil means TCP by net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Rand returns the jitter, in [0,1). nil means math/rand.
	Rand func() float64
	// Now is the wall clock, used for expiry times only. nil means time.Now.
	Now func() time.Time
}

// WithDefaults returns o with the defaults in place of zero values.
func (o Options) WithDefaults() Options {
	o.VHost = cmp.Or(o.VHost, "/")
	o.ConnectionName = cmp.Or(o.ConnectionName, "warren")
	o.Heartbeat = cmp.Or(o.Heartbeat, 10*time.Second)
	o.Window = cmp.Or(o.Window, 256)
	o.Channels = cmp.Or(o.Channels, 32)
	o.MaxHeaderBytes = cmp.Or(o.MaxHeaderBytes, 64<<10)
	o.MaxDataBytes = cmp.Or(o.MaxDataBytes, 16<<20)
	o.DialTimeout = cmp.Or(o.DialTimeout, 5*time.Second)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 3*time.Second)
	o.CallTimeout = cmp.Or(o.CallTimeout, 10*time.Second)
	o.CloseTimeout = cmp.Or(o.CloseTimeout, 2*time.Second)
	o.ConfirmWatch = cmp.Or(o.ConfirmWatch, 3*time.Second)
	o.QueueCheck = cmp.Or(o.QueueCheck, 30*time.Second)
	o.TopologyCheck = cmp.Or(o.TopologyCheck, 30*time.Second)
	o.MinBackoff = cmp.Or(o.MinBackoff, 50*time.Millisecond)
	o.MaxBackoff = cmp.Or(o.MaxBackoff, 5*time.Second)
	o.SlowBackoff = cmp.Or(o.SlowBackoff, 5*time.Second)
	if o.Credentials == nil {
		o.Credentials = func() (string, string, error) { return "guest", "guest", nil }
	}
	if o.OnState == nil {
		o.OnState = func() {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}
