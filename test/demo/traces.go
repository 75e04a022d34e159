package main

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/warrenmesh/warren/examples/shop/journal"
	"github.com/warrenmesh/warren/examples/shop/spans"
)

// Addresses where the demo looks for a Jaeger.
const (
	jaegerOTLP = "127.0.0.1:4317"
	jaegerURL  = "http://127.0.0.1:16686"
)

// traceTimeout bounds the wait for one whole trace.
const traceTimeout = 45 * time.Second

// traces receives all spans: a Jaeger that was found, or the demo itself.
type traces struct {
	otlp      string // address for the exporters
	jaeger    *spans.Jaeger
	collector *spans.Collector
}

// startTraces finds a Jaeger or starts its own receiver.
func (d *demo) startTraces(ctx context.Context) error {
	jaeger := &spans.Jaeger{URL: jaegerURL}
	if answers(ctx, jaegerOTLP) && jaeger.Answers(ctx) {
		d.traces = traces{otlp: jaegerOTLP, jaeger: jaeger}
		d.screen.say("traces: every program sends them to the Jaeger on %s; its page is %s", jaegerOTLP, jaegerURL)
		return nil
	}
	collector := spans.NewCollector(0)
	address, err := collector.Start(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	d.traces = traces{otlp: address, collector: collector}
	d.screen.say("traces: there is no Jaeger on %s, so the demo collects them itself (`make jaeger` gets one)", jaegerOTLP)
	return nil
}

func answers(ctx context.Context, address string) bool {
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

func (t *traces) stop() {
	if t.collector != nil {
		t.collector.Stop()
	}
}

func (t *traces) fetch(ctx context.Context, id string) (spans.Trace, error) {
	if t.jaeger != nil {
		return t.jaeger.Fetch(ctx, id)
	}
	return t.collector.Fetch(ctx, id)
}

// showTrace prints one order's whole trace, from checkout through all sidecars and
// services to the invoice's arrival.
func (d *demo) showTrace(ctx context.Context) error {
	trace, err := d.wholeTrace(ctx, traceCandidates(d.watch.Records["checkout"], d.inForce))
	if err != nil {
		return err
	}
	if err := d.screen.write(trace.Write); err != nil {
		return err
	}
	if d.traces.jaeger != nil {
		d.screen.say("in Jaeger: %s", d.traces.jaeger.Page(trace[0].TraceID))
		d.screen.say("as JSON:   %s", d.traces.jaeger.API(trace[0].TraceID))
	}
	return nil
}

// traceCandidates returns the traces of orders that were confirmed after a moment, long
// enough ago that their spans have arrived. Orders that needed only one call come
// first, because their traces are easier to read.
func traceCandidates(records []journal.Record, after time.Time) []string {
	const enough = 20
	var first, rest []string
	for _, r := range records {
		if r.What != journal.Confirmed || r.Trace == "" || r.Time.Before(after) {
			continue
		}
		if r.Attempt == 1 && len(first) < enough {
			first = append(first, r.Trace)
		} else if r.Attempt > 1 && len(rest) < enough {
			rest = append(rest, r.Trace)
		}
	}
	return append(first, rest...)
}

// flushed is longer than a process delays the export of its spans.
const flushed = 700 * time.Millisecond

// wholeTrace waits until one of the candidates is complete: it has one root, no missing
// parent and a span of every service, and it does not grow any more.
func (d *demo) wholeTrace(ctx context.Context, candidates []string) (spans.Trace, error) {
	ctx, cancel := context.WithTimeout(ctx, traceTimeout)
	defer cancel()
	tick := time.NewTicker(flushed)
	defer tick.Stop()
	var best spans.Trace
	before := make(map[string]int) // number of spans at the last look
	for {
		for _, id := range candidates {
			trace, err := d.traces.fetch(ctx, id)
			if err != nil && ctx.Err() == nil {
				return nil, err
			}
			if trace.Whole() && len(trace.Services()) == len(d.services) && len(trace) == before[id] {
				return trace, nil
			}
			before[id] = len(trace)
			if len(trace) > len(best) {
				best = trace
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if len(best) == 0 {
				return nil, errors.New("no trace of an order arrived")
			}
			_ = d.screen.write(best.Write)
			return nil, errors.New("no trace has the spans of every service under one root; the trace with the most spans is above")
		}
	}
}
