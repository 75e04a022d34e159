// Package publish is the way of an event from a door to the broker's confirm: accept
// (check) → route → stages of the rule → claim a node and write, again where the route's
// retry policy says so → answer. Batch and stream put many events through the same steps
// as a pipeline.
//
// service.go routes; admit.go, accept.go and submission.go refuse what need not be tried;
// depart.go puts that together. batch.go, stream.go and outbox.go are calls with many
// events. Room passage is the way of an event that was accepted: tries, order, flights.
//
// Doors call it. It imports route and balance, which say where an event goes, limit and
// refusal, and of brokers the seam; passage imports pool, which has the nodes.
//
// It is the only layer that repeats a publish. What it answers is honest: OK only
// after a confirm; a failure says whether the broker may have the event. Events of
// one key of a topic with partitions are confirmed in the order in which they were
// accepted. A Service is safe for concurrent use; only events of one key wait for each
// other.
package publish

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/limit"
	"github.com/warrenmesh/warren/proxy/metrics"
	"github.com/warrenmesh/warren/proxy/publish/passage"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/proxy/route"
	"github.com/warrenmesh/warren/proxy/tap"
	"github.com/warrenmesh/warren/tracing/messaging"
)

// Topics finds topics in the configuration in force.
type Topics interface {
	// Lookup returns a topic that is in force. It never blocks.
	Lookup(name mesh.Name) (*route.Topic, bool)
	// Await is Lookup for a topic that may never have been used before; it waits for
	// it within ctx. The error is a refusal.
	Await(ctx context.Context, name mesh.Name) (*route.Topic, error)
}

// Options configure a Service.
type Options struct {
	// Namespace is that of topics named without one. Required.
	Namespace string
	// Workload is written into messages as their app_id.
	Workload string
	// Topics and Brokers are required.
	Topics  Topics
	Brokers passage.Brokers
	// Tap shows publishes to operators; nil shows none.
	Tap *tap.Bus
	// Tracing is required; tracing.Disabled().Messaging() makes no spans.
	Tracing *messaging.Tracer
	// Metrics measures publishes; nil measures nothing.
	Metrics *metrics.Events
	// InFlight bounds the events that are between acceptance and answer; nil means
	// no bound.
	InFlight *limit.Budget
	// Held bounds the bytes of large requests that streams have read and not dealt with
	// yet, Unread those of results that their clients have not read, beyond what each
	// stream may have anyway; nil means no bound.
	Held   *limit.Budget
	Unread *limit.Budget
	// UnreadFor is how long a client may leave its results unread before its stream ends;
	// zero means 30 s.
	UnreadFor time.Duration
	// Now and Random are for tests; nil means the real ones. Random is uniform in
	// [0,1).
	Now    func() time.Time
	Random func() float64
}

// Service publishes events for whatever door they come in by.
type Service struct {
	opts     Options
	drain    sync.Once
	draining chan struct{} // closed when Drain begins
	sender   *passage.Sender
}

// New builds a Service.
func New(opts Options) *Service {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Random == nil {
		opts.Random = rand.Float64
	}
	if opts.InFlight == nil {
		opts.InFlight = limit.NewBudget(0, 0)
	}
	if opts.Held == nil {
		opts.Held = limit.NewBudget(0, 0)
	}
	if opts.Unread == nil {
		opts.Unread = limit.NewBudget(0, 0)
	}
	if opts.UnreadFor <= 0 {
		opts.UnreadFor = defaultUnreadFor
	}
	sender := passage.New(passage.Options{
		Namespace: opts.Namespace, Brokers: opts.Brokers, Tap: opts.Tap, Tracing: opts.Tracing, Metrics: opts.Metrics,
		InFlight: opts.InFlight, Now: opts.Now, Random: opts.Random,
	})
	return &Service{opts: opts, draining: make(chan struct{}), sender: sender}
}

// Drain makes every further publish fail with UNAVAILABLE, reason DRAINING; those
// under way go on, and publish streams end with that error when theirs are
// answered. It returns at once and is idempotent.
func (s *Service) Drain() { s.drain.Do(func() { close(s.draining) }) }

func (s *Service) isDraining() bool {
	select {
	case <-s.draining:
		return true
	default:
		return false
	}
}

// Publish publishes one event and returns when the broker has confirmed it. The error is
// a refusal.
func (s *Service) Publish(ctx context.Context, topic string, p *Submission) (Receipt, error) {
	t, err := s.departEvent(ctx, answerBy(ctx), topic, p, s.refuse, nil)
	if err != nil {
		return Receipt{}, err
	}
	return s.arrive(t, s.sender.Wait(t))
}

// route finds where e is to go, by deadline at the latest.
func (s *Service) route(ctx context.Context, deadline time.Time, topicName string, e *event.Event, g *passage.Gathering) (*route.Rule, *route.Backend, error) {
	topic, err := s.topic(ctx, deadline, topicName, g)
	if err != nil {
		return nil, nil, err
	}
	rule := topic.Match(e)
	if rule == nil {
		return nil, nil, refusal.Missing(refusal.TopicNotFound, "EventTopic", topic.Name.String(), "no rule of the topic matches this event")
	}
	return rule, rule.Pick(spread(rule, e)), nil
}

// spread maps an event to a uniformly distributed number that decides between the
// backends of r: by its key where they have partitions, so that a key's events stay
// together, else by its identity. Either way a service's own repeat of an event goes
// to the same backend as long as the weights stay, and cannot put one event on both
// sides of a canary.
func spread(r *route.Rule, e *event.Event) uint32 {
	if key := r.Key(e); key != "" {
		return uint32(xxhash.Sum64String(key) >> 32) //nolint:gosec // the high half
	}
	return uint32(identity(e) >> 32) //nolint:gosec // the high half
}

// identity is a hash of what tells e from every other event.
func identity(e *event.Event) uint64 {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.WriteString(e.Source) // never fails
	_, _ = d.WriteString("\x00")
	_, _ = d.WriteString(e.ID)
	return d.Sum64()
}

func (s *Service) topic(ctx context.Context, deadline time.Time, topicName string, g *passage.Gathering) (*route.Topic, error) {
	if s.isDraining() {
		return nil, refusal.Later(refusal.Draining, "the sidecar is shutting down")
	}
	name, err := mesh.ParseName(topicName, s.opts.Namespace)
	if err != nil {
		return nil, refusal.Field(refusal.InvalidRequest, "topic", `must be "name" or "namespace/name", `+mesh.NameRule)
	}
	if t, ok := s.opts.Topics.Lookup(name); ok {
		return t, nil
	}
	g.Write()
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	return s.opts.Topics.Await(ctx, name)
}

const (
	defaultDeadline = 10 * time.Second
	answerMargin    = 20 * time.Millisecond
)

// answerBy is when a call must be answered: a little before the caller's own
// deadline (20 ms or 5 %, whichever is less), so that the outcome still reaches the
// caller. A caller without a deadline gets 10 s.
func answerBy(ctx context.Context) time.Time {
	now := time.Now()
	deadline, ok := ctx.Deadline()
	if !ok {
		return now.Add(defaultDeadline)
	}
	return deadline.Add(-min(answerMargin, max(deadline.Sub(now), 0)/20))
}
