package route

import (
	"context"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/event"
)

// Stage is what a rule does to the events that match it, once for each event, between the
// match and the first try: it may change the event, and refuse it. An error is answered as
// it is, so it is a refusal, and nothing is sent. A Stage is safe for concurrent use.
type Stage interface {
	Pass(ctx context.Context, p *Passage) error
}

// Passage is an event on its way through the stages of its rule.
type Passage struct {
	Event   *event.Event
	Rule    *Rule
	Backend *Backend // where it goes
}

// Maker makes the stage of a rule, nil when the rule asks for none. It is called when a
// table is compiled.
type Maker func(topic mesh.Name, rule *mesh.Rule) Stage

// stagesOf makes the chain of a rule, in the order of the makers; nil when it has none.
func stagesOf(topic mesh.Name, rule *mesh.Rule, makers []Maker) []Stage {
	var out []Stage
	for _, stage := range makers {
		if s := stage(topic, rule); s != nil {
			out = append(out, s)
		}
	}
	return out
}

// HasStages reports whether Pass may do anything.
func (r *Rule) HasStages() bool { return len(r.stages) > 0 }

// Pass leads e through the rule's stages until one refuses it. A rule without stages, as
// all are today, costs a comparison.
func (r *Rule) Pass(ctx context.Context, e *event.Event, to *Backend) error {
	if len(r.stages) == 0 {
		return nil
	}
	p := &Passage{Event: e, Rule: r, Backend: to}
	for _, s := range r.stages {
		if err := s.Pass(ctx, p); err != nil {
			return err
		}
	}
	return nil
}
