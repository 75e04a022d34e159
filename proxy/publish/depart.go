package publish

import (
	"context"
	"time"

	"github.com/warrenmesh/warren/proxy/publish/passage"
)

// departEvent accepts p and departs it; admit is asked for a place in flight.
func (s *Service) departEvent(ctx context.Context, deadline time.Time, topicName string, p *Submission, admit admission, g *passage.Gathering) (*passage.Transit, error) {
	if err := p.Event.Validate(); err != nil {
		return nil, Invalid(err)
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	w := weight(p.Event) + p.HeaderBytes
	if err := admit(ctx, deadline, w); err != nil {
		return nil, err
	}
	t, err := s.depart(ctx, deadline, topicName, p, w, g)
	if err != nil {
		s.opts.InFlight.Give(w)
		return nil, err
	}
	return t, nil
}

// depart addresses an event and begins its passage, with g if there is one. An error
// means that it was refused here; what the broker or the way to it says comes out of
// arrive.
func (s *Service) depart(ctx context.Context, deadline time.Time, topicName string, p *Submission, weight int64, g *passage.Gathering) (*passage.Transit, error) {
	e := p.Event
	rule, backend, err := s.route(ctx, deadline, topicName, e, g)
	if err != nil {
		return nil, err
	}
	if rule.HasStages() {
		g.Write() // a stage may block
	}
	if err := rule.Pass(ctx, e, backend); err != nil {
		return nil, err
	}
	m, err := s.message(backend, e, p)
	if err != nil {
		return nil, err
	}
	return s.sender.Depart(ctx, deadline, passage.Accepted{
		Rule: rule, Backend: backend, Message: m, Weight: weight, Asked: topicName,
	}, g), nil
}

// arrive returns what is answered to an event whose first try ended with err, which may be
// repeated before.
func (s *Service) arrive(t *passage.Transit, err error) (Receipt, error) {
	if err := s.sender.Arrive(t, err); err != nil {
		return Receipt{}, err
	}
	return Receipt{EventID: t.Message.Event.ID, Route: t.Rule.Name, Topic: t.Backend.TopicName, Attempts: t.Attempts()}, nil
}
