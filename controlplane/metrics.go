package controlplane

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/warrenmesh/warren/controlplane/status"
	"github.com/warrenmesh/warren/tracing/conventions"
)

// reloads counts sets that were read.
type reloads struct{ applied, refused atomic.Int64 }

// Keys of the attributes.
const (
	keyResourceType = attribute.Key("warren.xds.type")
	keySidecarState = attribute.Key("warren.sidecar.state")
	keyKind         = attribute.Key("warren.object.kind")
	keyCondition    = attribute.Key("warren.object.condition")
	keyStatus       = attribute.Key("warren.object.status")
	keyVersion      = attribute.Key("warren.mesh.version")
	keyResult       = attribute.Key("warren.reload.result")
)

// instruments show the control plane's state. Nothing is counted for them alone: each
// scrape reads the state.
type instruments struct {
	ready, configAge, configInfo           metric.Float64ObservableGauge
	sidecars, objects, resources, problems metric.Int64ObservableUpDownCounter
	pushes, acks, nacks, reloads           metric.Int64ObservableCounter
}

// measure shows the state at each scrape, until stop is called.
func (c *ControlPlane) measure() (stop func() error, err error) {
	m := maker{meter: c.opts.Tracing.MeterProvider().Meter(conventions.ScopeName)}
	i := &instruments{
		ready:      m.gauge("warren.controlplane.ready", "", "1 while a good set is in force, else 0."),
		configAge:  m.gauge("warren.controlplane.config.age", "s", "Time since the configuration in force came into force."),
		configInfo: m.gauge("warren.controlplane.config.info", "", "Always 1; its attributes say which configuration is in force."),
		problems:   m.level("warren.controlplane.config.problems", "{problem}", "Problems of the newest set that was read; with any it is not in force."),
		reloads:    m.counter("warren.controlplane.config.reloads", "{reload}", "Sets that were read, by result."),
		objects:    m.level("warren.controlplane.objects", "{object}", "Declared objects, by kind, condition and its status."),
		resources:  m.level("warren.controlplane.resources", "{resource}", "Resources there are to serve, by type."),
		sidecars:   m.level("warren.controlplane.sidecars", "{sidecar}", "Connected sidecars, by state."),
		pushes:     m.counter("warren.controlplane.pushes", "{response}", "Responses sent to sidecars, by type."),
		acks:       m.counter("warren.controlplane.acks", "{response}", "Responses that sidecars accepted, by type."),
		nacks:      m.counter("warren.controlplane.nacks", "{response}", "Responses that sidecars refused, by type."),
	}
	registration, err := m.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		i.observe(o, c)
		return nil
	}, i.ready, i.configAge, i.configInfo, i.problems, i.reloads, i.objects, i.resources, i.sidecars, i.pushes, i.acks, i.nacks)
	if err := errors.Join(append(m.errs, err)...); err != nil {
		return nil, fmt.Errorf("make metrics: %w", err)
	}
	return registration.Unregister, nil
}

func (i *instruments) observe(o metric.Observer, c *ControlPlane) {
	s := c.state.Snapshot()
	ready := 0.0
	if !s.LoadedAt.IsZero() {
		ready = 1
		o.ObserveFloat64(i.configAge, c.opts.Now().Sub(s.LoadedAt).Seconds())
		o.ObserveFloat64(i.configInfo, 1, metric.WithAttributes(keyVersion.String(s.Version)))
	}
	o.ObserveFloat64(i.ready, ready)
	o.ObserveInt64(i.problems, int64(len(s.Problems)))
	o.ObserveInt64(i.reloads, c.reloads.applied.Load(), metric.WithAttributes(keyResult.String("applied")))
	o.ObserveInt64(i.reloads, c.reloads.refused.Load(), metric.WithAttributes(keyResult.String("refused")))
	i.observeMesh(o, &s)
	for typeURL, t := range c.xds.Traffic() {
		of := metric.WithAttributes(keyResourceType.String(shortType(typeURL)))
		o.ObserveInt64(i.pushes, int64(t.Pushes), of) //nolint:gosec // a count never gets to 2^63
		o.ObserveInt64(i.acks, int64(t.Acks), of)     //nolint:gosec // as above
		o.ObserveInt64(i.nacks, int64(t.Nacks), of)   //nolint:gosec // as above
	}
}

// observeMesh shows what is declared, served and connected. Every state of sidecars
// has a series, so that none ends when the last sidecar leaves it.
func (i *instruments) observeMesh(o metric.Observer, s *status.Snapshot) {
	sidecars := map[string]int64{status.SidecarSynced: 0, status.SidecarNotSent: 0, status.SidecarStale: 0, status.SidecarNack: 0}
	for n := range s.Sidecars {
		sidecars[status.SidecarState(&s.Sidecars[n], s.Versions)]++
	}
	for state, n := range sidecars {
		o.ObserveInt64(i.sidecars, n, metric.WithAttributes(keySidecarState.String(state)))
	}
	resources := map[string]int64{}
	for k := range s.Versions {
		resources[shortType(k.TypeURL)]++
	}
	for resourceType, n := range resources {
		o.ObserveInt64(i.resources, n, metric.WithAttributes(keyResourceType.String(resourceType)))
	}
	type condition struct{ kind, condition, status string }
	objects := map[condition]int64{}
	for _, object := range s.Objects {
		for _, c := range object.Conditions {
			objects[condition{object.Name.Kind, c.Type, string(c.Status)}]++
		}
	}
	for c, n := range objects {
		o.ObserveInt64(i.objects, n, metric.WithAttributes(
			keyKind.String(c.kind), keyCondition.String(c.condition), keyStatus.String(c.status)))
	}
}

// shortType is the last word of a type URL.
func shortType(typeURL string) string { return typeURL[strings.LastIndexByte(typeURL, '.')+1:] }

// maker collects the errors of all instruments.
type maker struct {
	meter metric.Meter
	errs  []error
}

func (m *maker) gauge(name, unit, description string) metric.Float64ObservableGauge {
	g, err := m.meter.Float64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(description))
	m.errs = append(m.errs, err)
	return g
}

func (m *maker) level(name, unit, description string) metric.Int64ObservableUpDownCounter {
	l, err := m.meter.Int64ObservableUpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
	m.errs = append(m.errs, err)
	return l
}

func (m *maker) counter(name, unit, description string) metric.Int64ObservableCounter {
	c, err := m.meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
	m.errs = append(m.errs, err)
	return c
}
