package publish

import (
	"context"
	"fmt"
	"time"

	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/publish/passage"
	"github.com/warrenmesh/warren/proxy/refusal"
)

// admission asks for a place for an event of so many bytes among those in flight,
// to be given back with InFlight.Give. The error is a gRPC status.
type admission func(ctx context.Context, deadline time.Time, bytes int64) error

// refuse answers a full sidecar with RESOURCE_EXHAUSTED and RetryInfo: a caller of
// a unary method can wait better than the sidecar can.
func (s *Service) refuse(_ context.Context, _ time.Time, bytes int64) error {
	if s.opts.InFlight.TryTake(bytes) {
		return nil
	}
	count, inUse := s.opts.InFlight.InUse()
	return refusal.Full(refusal.BufferFull, fmt.Sprintf("the sidecar has %d events of %d bytes in flight, which is its limit; nothing was sent", count, inUse))
}

// holdPeriod is how often a held stream looks for room again.
const holdPeriod = 2 * time.Millisecond

// streamShare is the part of the bytes in flight that streams may fill. What is in flight
// stands in line on the broker's connection, so that it is also how long everybody waits:
// two hundred streams that wrote 50 KB events as fast as they could made another caller
// wait 1.3 s (row 45 of the fault matrix).
const streamShare = 4

// hold makes a stream wait for room: reading no further is its back-pressure. What it has
// gathered is written before it waits.
func (s *Service) hold(ctx context.Context, deadline time.Time, bytes int64, together *passage.Gathering) error {
	if s.opts.InFlight.TryTakeOf(bytes, streamShare) {
		return nil
	}
	together.Write()
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	tick := time.NewTicker(holdPeriod)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if s.opts.InFlight.TryTakeOf(bytes, streamShare) {
				return nil
			}
		case <-s.draining:
			return s.refuse(ctx, deadline, bytes)
		case <-ctx.Done():
			return s.refuse(ctx, deadline, bytes)
		}
	}
}

// overhead is about what an event in flight costs besides its payload and attributes:
// its message, its deadlines, its place in the pipeline.
const overhead = 4096

// weight is what e takes of what is in flight.
func weight(e *event.Event) int64 {
	n := len(e.Data) + len(e.ID) + len(e.Source) + len(e.Type) + overhead
	for _, a := range e.Attrs {
		n += len(a.Name) + valueBytes
		switch a.Value.Kind() {
		case event.KindString, event.KindURI, event.KindURIRef:
			n += len(a.Value.String())
		case event.KindBinary:
			n += len(a.Value.Bytes())
		default: // of a fixed size
		}
	}
	return int64(n)
}

// valueBytes is what an attribute's value costs besides its text.
const valueBytes = 32
