// Package publisher publishes many events through a sidecar at once and keeps
// account of what became of each.
//
// It owns concurrency, retries and the account; reading the input and printing are
// the command's. Every event is one unary Publish, so events may overtake each
// other unless Concurrency is 1. A Publisher runs once; Stats may be called from
// any goroutine meanwhile.
//
//	p := publisher.New(client, publisher.Options{Topic: "orders"})
//	report, err := p.Run(ctx, cejson.NewReader(os.Stdin, cejson.ReaderOptions{}))
package publisher

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/client"
	"github.com/warrenmesh/warren/cmd/warren/internal/peer"
	"github.com/warrenmesh/warren/cmd/warren/internal/publish/cejson"
	"github.com/warrenmesh/warren/proxy/event/eventpb"
)

// Client publishes an event once, called from many goroutines; client.Client is one.
type Client interface {
	PublishRequest(context.Context, *eventsv1.PublishRequest) (*eventsv1.PublishResponse, error)
}

// Source yields the events, in one goroutine; io.EOF ends it. Next may block: when
// the run is cancelled meanwhile it is not waited for.
type Source interface {
	Next() (cejson.Record, error)
}

// Options tune a Publisher.
type Options struct {
	// Topic the events go to; required.
	Topic string
	// Concurrency is how many events are on their way at once; 0 means 64.
	Concurrency int
	// Timeout bounds one event, all its tries and the waits between them
	// included; 0 means 30 s.
	Timeout time.Duration
	// Retry repeats an event that failed with UNAVAILABLE, or that the sidecar
	// asked to repeat later, with the same id until Timeout.
	Retry bool
	// Headers are sent beside each event.
	Headers map[string]*eventsv1.HeaderValue
	// DryRun reads and validates only; Client may be nil then.
	DryRun bool
}

// Stats is how far a run is.
type Stats struct {
	Read      int64 // records read, bad ones included
	Confirmed int64
	Failed    int64 // bad records included
	Retries   int64 // tries after an event's first
}

// Publisher publishes the events of one source.
type Publisher struct {
	client Client
	opts   Options

	// atomic
	read, confirmed, failed, retries atomic.Int64

	account account
}

// New makes a Publisher.
func New(client Client, o Options) *Publisher {
	if o.Concurrency <= 0 {
		o.Concurrency = 64
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	return &Publisher{client: client, opts: o}
}

// Stats returns the counts of this moment.
func (p *Publisher) Stats() Stats {
	return Stats{
		Read: p.read.Load(), Confirmed: p.confirmed.Load(),
		Failed: p.failed.Load(), Retries: p.retries.Load(),
	}
}

// Run publishes everything src yields and reports. When ctx ends it reads no more
// and waits for the events on their way, each within Timeout. Without Retry it
// also stops when nothing was confirmed and nobody answers at all. The error says
// why the input was not read to its end; the report counts what was read.
func (p *Publisher) Run(ctx context.Context, src Source) (Report, error) {
	start := time.Now()
	reading, stop := context.WithCancelCause(ctx)
	defer stop(nil)

	records := make(chan cejson.Record)
	go feed(reading, src, records, stop) // ends with reading, or is abandoned in src.Next

	var workers sync.WaitGroup
	for range p.opts.Concurrency {
		workers.Go(func() { p.work(ctx, reading, records, stop) })
	}
	workers.Wait()

	report := p.account.report()
	report.Stats, report.Elapsed = p.Stats(), time.Since(start)
	if err := context.Cause(reading); !errors.Is(err, io.EOF) {
		return report, err
	}
	return report, nil
}

// feed hands out records until the source ends; its error, io.EOF included,
// becomes the cause that reading ended with. Workers finish what they took.
func feed(reading context.Context, src Source, records chan<- cejson.Record, stop context.CancelCauseFunc) {
	for {
		rec, err := src.Next()
		if err != nil {
			stop(err)
			return
		}
		select {
		case records <- rec:
		case <-reading.Done():
			return
		}
	}
}

// ErrNobody stops a run in which no sidecar answers.
var ErrNobody = errors.New("no sidecar answers")

func (p *Publisher) work(ctx, reading context.Context, records <-chan cejson.Record, stop context.CancelCauseFunc) {
	for reading.Err() == nil { // first: of two ready cases select takes either
		select {
		case <-reading.Done():
			return
		case rec := <-records:
			p.read.Add(1)
			if f := p.one(ctx, rec); f.Reason == peer.Unreachable && !p.opts.Retry && p.confirmed.Load() == 0 {
				stop(ErrNobody)
			}
		}
	}
}

// one sees one record through to its entry in the account.
func (p *Publisher) one(ctx context.Context, rec cejson.Record) peer.Failure {
	if rec.Err != nil {
		p.failed.Add(1)
		p.account.fail(rec, invalid(rec.Err))
		return peer.Failure{}
	}
	if p.opts.DryRun {
		p.confirmed.Add(1)
		return peer.Failure{}
	}
	resp, failure := p.publish(ctx, &eventsv1.PublishRequest{Topic: p.opts.Topic, Event: eventpb.ToProto(rec.Event), Headers: p.opts.Headers})
	if resp == nil {
		p.failed.Add(1)
		p.account.fail(rec, failure)
		return failure
	}
	p.confirmed.Add(1)
	p.account.confirm(resp)
	return peer.Failure{}
}

// publish tries until the event is confirmed, may not be repeated, or its time is
// up. Waits end with the run: after Ctrl-C nothing is tried again.
func (p *Publisher) publish(ctx context.Context, req *eventsv1.PublishRequest) (*eventsv1.PublishResponse, peer.Failure) {
	// The try itself outlives the run's context: its outcome matters.
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.opts.Timeout)
	defer cancel()
	policy := backoff.ExponentialBackOff{
		InitialInterval: 50 * time.Millisecond, MaxInterval: 2 * time.Second,
		Multiplier: 2, RandomizationFactor: 0.3,
	}
	unknown := false
	for {
		resp, err := p.client.PublishRequest(call, req)
		if err == nil {
			return resp, peer.Failure{}
		}
		failure := peer.Explain(err, true)
		// Once a try may have reached the broker, a later one that certainly did
		// not leaves the event as unknown as before.
		unknown = unknown || failure.Outcome == client.Unknown.String()
		if unknown {
			failure.Outcome = client.Unknown.String()
		}
		if !p.opts.Retry || !failure.Retryable {
			return nil, failure
		}
		timer := time.NewTimer(max(policy.NextBackOff(), failure.RetryAfter))
		select {
		case <-timer.C:
			p.retries.Add(1)
		case <-call.Done():
			timer.Stop()
			return nil, failure
		case <-ctx.Done():
			timer.Stop()
			return nil, failure
		}
	}
}
