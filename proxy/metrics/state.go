package metrics

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/tracing/conventions"
	"github.com/warrenmesh/warren/tracing/messaging"
)

// State is the condition of a sidecar at one moment.
type State struct {
	Ready       bool
	Connections []Connection
	Config      *Config // nil before the first
	XDS         XDS
	// Stale counts settlements that came too late to have an effect, since the start.
	Stale uint64
}

// Connection is one broker node's state.
type Connection struct {
	Broker mesh.Name
	broker.State
}

// Config is the configuration in force.
type Config struct {
	Version  string
	FromDisk bool
	At       time.Time // when it came into force
}

// XDS is the state of the connection to the control plane.
type XDS struct {
	Connected   bool
	LastContact time.Time        // zero: never
	Resources   map[Resource]int // how many there are of each
}

// Resource is a kind of resource in a state.
type Resource struct {
	Type  string // "Listener"
	State string // as CSDS spells it: REQUESTED, ACKED, NACKED, DOES_NOT_EXIST
}

// Keys of our own attributes of states.
const (
	keyBroker       = attribute.Key("warren.broker")
	keyRole         = attribute.Key("warren.connection.role")
	keyState        = attribute.Key("warren.connection.state")
	keyVersion      = attribute.Key("warren.config.version")
	keySource       = attribute.Key("warren.config.source")
	keyResourceType = attribute.Key("warren.xds.type")
	keyResource     = attribute.Key("warren.xds.state")
)

// The states of a connection. Each has a series of its own, 1 for the state it is
// in and 0 for the others, so that a series does not end when the state changes.
const (
	stateUp      = "up"
	stateBlocked = "blocked"
	stateDown    = "down"
)

// Watch calls read at each scrape, until stop is called. read must not block.
func Watch(provider metric.MeterProvider, read func() State) (stop func() error, err error) {
	b := builder{meter: provider.Meter(conventions.ScopeName)}
	i := stateInstruments{
		ready:       b.gauge("warren.ready", "", "1 while the sidecar is ready, else 0."),
		connections: b.level("warren.broker.connections", "{connection}", "Connections to broker nodes, by role and state."),
		configAge:   b.gauge("warren.config.age", "s", "Time since the configuration in force was applied."),
		configInfo:  b.gauge("warren.config.info", "", "Always 1; its attributes say which configuration is in force."),
		connected:   b.gauge("warren.xds.connected", "", "1 while the control plane is connected, else 0."),
		contactAge:  b.gauge("warren.xds.contact.age", "s", "Time since the control plane was heard."),
		resources:   b.level("warren.xds.resources", "{resource}", "Resources asked for, by type and state."),
		gone:        b.counter("warren.broker.queues.gone", "{queue}", "Queues that were declared and found gone, with what was in them."),
		stale:       b.counter("warren.delivery.stale_settlements", "{message}", "Settlements that came too late to have an effect."),
	}
	registration, err := b.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		i.observe(o, read(), time.Now())
		return nil
	}, i.ready, i.connections, i.configAge, i.configInfo, i.connected, i.contactAge, i.resources, i.gone, i.stale)
	if err := errors.Join(append(b.errs, err)...); err != nil {
		return nil, err
	}
	return registration.Unregister, nil
}

type stateInstruments struct {
	ready, configAge, configInfo, connected, contactAge metric.Float64ObservableGauge
	connections, resources                              metric.Int64ObservableUpDownCounter
	gone, stale                                         metric.Int64ObservableCounter
}

func (i *stateInstruments) observe(o metric.Observer, s State, now time.Time) {
	o.ObserveFloat64(i.ready, oneIf(s.Ready))
	o.ObserveInt64(i.stale, int64(s.Stale)) //nolint:gosec // a count never gets to 2^63
	for _, c := range s.Connections {
		i.observeConnection(o, c, "publish", publishState(c.State))
		i.observeConnection(o, c, "consume", consumeState(c.State))
		o.ObserveInt64(i.gone, int64(c.Gone), metric.WithAttributes(messaging.AppendServer([]attribute.KeyValue{keyBroker.String(c.Broker.String())}, c.Address)...)) //nolint:gosec // as above
	}
	if c := s.Config; c != nil {
		source := "control-plane"
		if c.FromDisk {
			source = "disk"
		}
		o.ObserveFloat64(i.configAge, now.Sub(c.At).Seconds())
		o.ObserveFloat64(i.configInfo, 1, metric.WithAttributes(keyVersion.String(c.Version), keySource.String(source)))
	}
	o.ObserveFloat64(i.connected, oneIf(s.XDS.Connected))
	if !s.XDS.LastContact.IsZero() {
		o.ObserveFloat64(i.contactAge, now.Sub(s.XDS.LastContact).Seconds())
	}
	for r, n := range s.XDS.Resources {
		o.ObserveInt64(i.resources, int64(n), metric.WithAttributes(keyResourceType.String(r.Type), keyResource.String(r.State)))
	}
}

func (i *stateInstruments) observeConnection(o metric.Observer, c Connection, role, state string) {
	attrs := messaging.AppendServer([]attribute.KeyValue{keyBroker.String(c.Broker.String()), keyRole.String(role)}, c.Address)
	for _, s := range []string{stateUp, stateBlocked, stateDown} {
		n := int64(0)
		if s == state {
			n = 1
		}
		o.ObserveInt64(i.connections, n, metric.WithAttributes(concat(attrs, keyState.String(s))...))
	}
}

func publishState(s broker.State) string {
	switch {
	case s.Blocked:
		return stateBlocked
	case s.Publishing:
		return stateUp
	default:
		return stateDown
	}
}

func consumeState(s broker.State) string {
	if s.Consuming {
		return stateUp
	}
	return stateDown
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
