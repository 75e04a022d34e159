package publish

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/warrenmesh/warren/proxy/publish/passage"
	"github.com/warrenmesh/warren/proxy/refusal"
)

// MaxBatch is the most events one PublishBatch takes.
const MaxBatch = 10_000

// PublishBatch publishes the events of b. They are written in the order of the entries
// and confirmed as a pipeline, those of one key one after the other; each has its own
// result. The call fails as a whole, before anything is tried, when the topic is
// unknown, the batch is empty or over MaxBatch, or the sidecar drains.
func (s *Service) PublishBatch(ctx context.Context, b Batch) ([]Result, error) {
	deadline := answerBy(ctx)
	if b.Len == 0 || b.Len > MaxBatch {
		return nil, refusal.Field(refusal.InvalidRequest, "entries", fmt.Sprintf("must have 1 to %d events, has %d", MaxBatch, b.Len))
	}
	if _, err := s.topic(ctx, deadline, b.Topic, nil); err != nil {
		return nil, err
	}
	results := make([]Result, b.Len)
	under := make([]*passage.Transit, b.Len)
	var beside sync.WaitGroup // those that the others must not wait for
	i := 0
	together := s.sender.Gather()
	for entry := range b.Entries {
		n := i
		i++
		t, err := s.departEntry(entry.Trace.Into(ctx), deadline, b.Topic, entry, s.refuse, &together)
		if err != nil {
			results[n].Err = err
			continue
		}
		if t.Ordered() {
			beside.Go(func() { results[n] = s.result(t, s.sender.Wait(t)) })
			continue
		}
		under[n] = t
	}
	together.Write()
	// Confirms come in order; those that fail are retried beside the others.
	for i, t := range under {
		if t == nil {
			continue
		}
		if err := s.sender.Wait(t); err != nil {
			beside.Go(func() { results[i] = s.result(t, err) })
			continue
		}
		results[i] = s.result(t, nil)
	}
	beside.Wait()
	return results, nil
}

// departEntry is departEvent for an entry that its door may not have been able to decode.
func (s *Service) departEntry(ctx context.Context, deadline time.Time, topic string, e *Entry, admit admission, g *passage.Gathering) (*passage.Transit, error) {
	if e.Err != nil {
		return nil, e.Err
	}
	return s.departEvent(ctx, deadline, topic, &e.Submission, admit, g)
}

func (s *Service) result(t *passage.Transit, err error) Result {
	receipt, err := s.arrive(t, err)
	return Result{receipt, err}
}
