// Package report tells the control plane how brokers and traffic are.
//
// It owns the sidecar's end of warren.report.v1: one stream beside xDS, a report every few
// seconds, and the measurements that the control plane asks this sidecar for. It counts
// nothing itself: a Source reads what other rooms keep, so that a report costs an event
// nothing.
//
//	metrics, pool --Source--> Reporter --ReportRequest--> control plane
//	brokers <--Gauge-- measurer <------ReportResponse-----------'
//
// Counters are those since the start of the process, and only those that have changed
// since the report before are sent. The first report of a stream has all, as has one that
// the control plane asks for because another was lost.
//
//	r := report.New(report.Options{Source: source, Logger: log})
//	r.Run(ctx, conn) // while there is a connection to the control plane; again with the next
package report

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	reportv1 "github.com/warrenmesh/warren/api/report/v1"
	"github.com/warrenmesh/warren/internal/pace"
)

const (
	// interval is how often a report is sent. The control plane takes one that is silent
	// for three of them as late.
	interval = 5 * time.Second
	// MaxEntries bounds the counters of a report; the control plane keeps as many.
	MaxEntries = 1000
)

// Source is what there is to tell. Its methods do not block.
type Source interface {
	// State returns the state of brokers and topology. The caller owns it.
	State() *reportv1.State
	// Counters returns all counters since the start, in an order that does not change. The
	// caller owns them.
	Counters() ([]*reportv1.Published, []*reportv1.Delivered)
}

// Options configure a Reporter.
type Options struct {
	// Source and Gauge are required.
	Source Source
	Gauge  Gauge
	// Interval between two reports; zero means 5 s.
	Interval time.Duration
	// Logger is required.
	Logger *slog.Logger
}

// Reporter sends reports. Run is called by one goroutine at a time.
type Reporter struct {
	opts     Options
	instance uint64
	started  time.Time

	sequence uint64
	told     bool // that the control plane takes no reports
}

// New builds a Reporter.
func New(opts Options) *Reporter {
	if opts.Interval <= 0 {
		opts.Interval = interval
	}
	return &Reporter{opts: opts, instance: rand.Uint64() | 1, started: time.Now()}
}

// Run reports over a connection until ctx ends. After a stream has ended it opens another
// one; it gives up when the control plane takes no reports.
func (r *Reporter) Run(ctx context.Context, conn grpc.ClientConnInterface) {
	client := reportv1.NewReportServiceClient(conn)
	for ctx.Err() == nil {
		err := r.follow(ctx, client)
		switch {
		case ctx.Err() != nil:
			return
		case status.Code(err) == codes.Unimplemented:
			if !r.told {
				r.told = true
				r.opts.Logger.Info("the control plane takes no reports: warren status there knows nothing of this sidecar's brokers and traffic")
			}
			return
		}
		r.opts.Logger.Debug("stream of reports ended", "error", err)
		pace.Sleep(ctx, r.opts.Interval)
	}
}

// stream is one stream of reports.
type stream struct {
	*Reporter

	out       grpc.BidiStreamingClient[reportv1.ReportRequest, reportv1.ReportResponse]
	measurer  *measurer
	sent      *reportv1.State // last
	counted   counters        // as they were sent last
	completed bool            // the control plane has everything up to the last report
}

// follow sends reports until the stream ends. The error is never nil.
func (r *Reporter) follow(ctx context.Context, client reportv1.ReportServiceClient) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	out, err := client.Report(ctx)
	if err != nil {
		return err
	}
	s := &stream{Reporter: r, out: out, counted: counters{}, measurer: newMeasurer(r.opts.Gauge, r.opts.Interval)}
	asked, ended := make(chan *reportv1.ReportResponse), make(chan error, 1)
	running.Go(func() { ended <- receive(ctx, out, asked) })
	running.Go(func() { s.measurer.run(ctx) })

	// The first report is complete, and goes at once. The next one comes anywhere in the
	// interval: sidecars that were cut off together do not report together.
	next := time.NewTimer(0)
	defer next.Stop()
	for first := true; ; {
		select {
		case err := <-ended:
			return err
		case ask := <-asked:
			s.completed = s.completed && !ask.GetResend()
			if ask.GetAssignment() != nil {
				s.measurer.assign(ask.GetAssignment())
			}
		case <-next.C:
			if err := out.Send(s.next()); err != nil {
				return <-ended // which has the reason
			}
			next.Reset(r.opts.Interval)
			if first {
				next.Reset(rand.N(r.opts.Interval))
				first = false
			}
		}
	}
}

// receive hands on what the control plane asks for until the stream ends.
func receive(ctx context.Context, out grpc.BidiStreamingClient[reportv1.ReportRequest, reportv1.ReportResponse], asked chan<- *reportv1.ReportResponse) error {
	for {
		ask, err := out.Recv()
		if err != nil {
			return err
		}
		select {
		case asked <- ask:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// next is the next report.
func (s *stream) next() *reportv1.ReportRequest {
	s.sequence++
	req := &reportv1.ReportRequest{
		Instance: s.instance, Sequence: s.sequence, Complete: !s.completed,
		RunningFor: durationpb.New(time.Since(s.started)), Measured: s.measurer.take(),
	}
	s.completed = true
	if state := s.opts.Source.State(); req.GetComplete() || !proto.Equal(state, s.sent) {
		req.State, s.sent = state, state
	}
	published, delivered := s.opts.Source.Counters()
	published = published[:min(len(published), MaxEntries)]
	delivered = delivered[:min(len(delivered), MaxEntries-len(published))]
	for _, p := range published {
		if s.counted.changed(counter{topic: p.GetTopic()}, [5]uint64{p.GetConfirmed(), p.GetFailed(), p.GetRetried()}) || req.GetComplete() {
			req.Published = append(req.Published, p)
		}
	}
	for _, d := range delivered {
		k := counter{d.GetSubscription(), d.GetTopic(), d.GetPublisher()}
		is := [5]uint64{d.GetDelivered(), d.GetFailed(), d.GetRetried(), d.GetDeadLettered(), d.GetTakenByPolicy()}
		if s.counted.changed(k, is) || req.GetComplete() {
			req.Delivered = append(req.Delivered, d)
		}
	}
	return req
}

// counter names one entry of a report.
type counter struct{ subscription, topic, publisher string }

// counters are as they were sent last.
type counters map[counter][5]uint64

// changed reports whether a counter is not as it was sent last, and takes it over.
func (c counters) changed(k counter, is [5]uint64) bool {
	was, known := c[k]
	if known && was == is {
		return false
	}
	c[k] = is
	return true
}
