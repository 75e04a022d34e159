package publish

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/rpcerr"
	"github.com/warrenmesh/warren/tracing"
)

// MaxBatch is the most events one PublishBatch takes.
const MaxBatch = 10_000

// PublishBatch implements EventService.PublishBatch. Events are written in the
// order of the entries and confirmed as a pipeline, those of one key one after the
// other; each has its own result. The
// call fails as a whole, before anything is tried, when the topic is unknown, the
// batch is empty or over MaxBatch, or the sidecar drains.
func (s *Service) PublishBatch(ctx context.Context, req *eventsv1.PublishBatchRequest) (*eventsv1.PublishBatchResponse, error) {
	deadline := answerBy(ctx)
	if n := len(req.GetEntries()); n == 0 || n > MaxBatch {
		return nil, rpcerr.Field(rpcerr.InvalidRequest, "entries", fmt.Sprintf("must have 1 to %d events, has %d", MaxBatch, n))
	}
	if _, err := s.topic(ctx, deadline, req.GetTopic()); err != nil {
		return nil, err
	}
	results := make([]*eventsv1.PublishResult, len(req.GetEntries()))
	under := make([]*transit, len(results))
	var beside sync.WaitGroup // those that the others must not wait for
	for i, entry := range req.GetEntries() {
		t, err := s.departEvent(tracing.Extract(ctx, entry.GetTraceContext()), deadline, req.GetTopic(), entry, s.refuse)
		if err != nil {
			results[i] = failed(err)
			continue
		}
		if t.place != nil {
			beside.Go(func() { results[i] = s.result(t, s.wait(t)) })
			continue
		}
		under[i] = t
	}
	// Confirms come in order; those that fail are retried beside the others.
	for i, t := range under {
		if t == nil {
			continue
		}
		if err := s.wait(t); err != nil {
			beside.Go(func() { results[i] = s.result(t, err) })
			continue
		}
		results[i] = s.result(t, nil)
	}
	beside.Wait()
	return &eventsv1.PublishBatchResponse{Results: results}, nil
}

func (s *Service) result(t *transit, err error) *eventsv1.PublishResult {
	res, err := s.arrive(t, err)
	if err != nil {
		return failed(err)
	}
	return &eventsv1.PublishResult{Response: res}
}

func failed(err error) *eventsv1.PublishResult {
	p := status.Convert(err).Proto()
	return &eventsv1.PublishResult{Status: &eventsv1.Status{Code: p.GetCode(), Message: p.GetMessage(), Details: p.GetDetails()}}
}
