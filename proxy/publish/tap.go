package publish

import (
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/tap"
)

// show lets operators see a publish that ended with err.
func (s *Service) show(t *transit, err error) {
	m := t.message
	sight := &tap.Sight{
		Stage: tap.Published, Event: m.Event, Topic: t.backend.Topic, Route: t.rule.Name,
		Exchange: m.To.Exchange.Name, RoutingKey: m.Key, TraceParent: m.Trace.Parent, Attempt: t.attempt, Err: err,
	}
	if !t.began.IsZero() {
		sight.Took = time.Since(t.began)
	}
	if asked, err := mesh.ParseName(t.asked, s.opts.Namespace); err == nil {
		sight.Asked = asked
	}
	s.opts.Tap.Emit(sight)
}
