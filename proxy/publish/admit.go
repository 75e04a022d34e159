package publish

import (
	"context"
	"fmt"
	"time"

	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/rpcerr"
)

// admission asks for a place for an event of so many bytes among those in flight.
// It returns the function that gives the place back, or a gRPC status.
type admission func(ctx context.Context, bytes int64) (release func(), err error)

// refuse answers a full sidecar with RESOURCE_EXHAUSTED and RetryInfo: a caller of
// a unary method can wait better than the sidecar can.
func (s *Service) refuse(_ context.Context, bytes int64) (func(), error) {
	if s.opts.InFlight.TryTake(bytes) {
		return func() { s.opts.InFlight.Give(bytes) }, nil
	}
	count, inUse := s.opts.InFlight.InUse()
	return nil, rpcerr.Exhausted(rpcerr.BufferFull, fmt.Sprintf("the sidecar has %d events of %d bytes in flight, which is its limit; nothing was sent", count, inUse))
}

// holdPeriod is how often a held stream looks for room again.
const holdPeriod = 2 * time.Millisecond

// hold makes a stream wait for room: reading no further is its back-pressure.
func (s *Service) hold(ctx context.Context, bytes int64) (func(), error) {
	if s.opts.InFlight.TryTake(bytes) {
		return func() { s.opts.InFlight.Give(bytes) }, nil
	}
	tick := time.NewTicker(holdPeriod)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if s.opts.InFlight.TryTake(bytes) {
				return func() { s.opts.InFlight.Give(bytes) }, nil
			}
		case <-ctx.Done():
			return s.refuse(ctx, bytes)
		}
	}
}

// overhead is what an event costs besides its payload: attributes, headers, frames.
const overhead = 1024

func weight(e *event.Event) int64 { return int64(len(e.Data)) + overhead }
