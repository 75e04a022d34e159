// Package deadletter reads a subscription's dead-letter queue for its operator, and
// sends letters back or throws them away.
//
// It owns the order in which that is safe, and what a letter becomes on its way
// back. It does not bury letters (deliver does) and knows no AMQP: it works on a
// broker.Driver. A Service is safe for concurrent use; one job at a time works on a
// queue.
//
//	s := deadletter.New(deadletter.Options{Subscriptions: config, Brokers: pool})
//	report, err := s.List(ctx, deadletter.Query{Subscription: name}, show)
//	report, err = s.Redrive(ctx, query, deadletter.Redrive{PerSecond: 10}, progress)
//	s.Stop(ctx)
//
// # Reading without taking
//
// Context: AMQP can only hand a message out, not show it. What is handed out and
// given back keeps its place when its channel closes, and counts one more return,
// which is harmless where a dead-letter queue has no delivery limit.
// Decision: letters are consumed and not settled, and all are given back together at
// the end. At most as many are read as there were at the start, so that a letter that
// comes back dead is not read twice.
// Cost: what a reader holds is hidden from other readers of the queue meanwhile, and
// the broker's own count of returns grows; a letter's attempts are in the letter.
//
// # Sending back
//
// A letter is published, confirmed, and only then acknowledged, one after the other:
// nothing is lost, order is kept, and a failure leaves the letter where it is.
package deadletter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/warrenmesh/warren/internal/join"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/xds"
)

// ErrBusy is in the chain of the error of a job on a queue that another job works on.
var ErrBusy = errors.New("another job works on the dead-letter queue")

// Subscriptions finds subscriptions in the configuration in force.
type Subscriptions interface {
	// Declared returns a subscription of this workload, which must not be changed. It
	// never blocks. The error is a refusal.
	Declared(name mesh.Name) (*mesh.Subscription, error)
}

// Brokers finds running drivers; pool.Pool is one.
type Brokers interface {
	// Ready waits within ctx until what key needs is declared on the broker.
	Ready(ctx context.Context, name mesh.Name, key string) error
	// PickConsumer chooses a node to consume from. It never blocks.
	PickConsumer(name mesh.Name) (broker.Driver, error)
}

// Options configure a Service. Both are required.
type Options struct {
	Subscriptions Subscriptions
	Brokers       Brokers
}

// Query says which letters a job is about.
type Query struct {
	Subscription mesh.Name
	Filter       Filter
	// Limit ends the job after so many letters that match; 0 means no end.
	Limit int
}

// Report says how far a job is, or how it ended.
type Report struct {
	Queue   string
	Total   int // letters that were ready at the start
	Read    int // of those, read
	Foreign int // of those, of other subscriptions or no letters of ours; left alone
	Matched int
	Done    int // sent back or thrown away; in a dry run, would have been
	Failed  int // could not be sent back and stay
	// Failure says why the last of Failed did.
	Failure string
	// Consumers is how many others took from the queue at the start: what they hold is
	// hidden.
	Consumers int
	// Complete is set when every letter there was has been read, or Limit was reached.
	Complete bool
}

// Service does jobs on dead-letter queues. Build it with New; Stop ends its jobs.
type Service struct {
	opts Options
	life context.Context    //nolint:containedctx // of all jobs; ended by Stop
	end  context.CancelFunc // ends life

	mu   sync.Mutex
	busy map[queueID]struct{} // guarded by mu; queues that a job works on
	shut bool                 // guarded by mu; no new jobs
	jobs join.Group           // added to under mu
}

// queueID is a queue of a broker.
type queueID struct {
	broker mesh.Name
	queue  string
}

// New builds a service. It starts nothing.
func New(opts Options) *Service {
	s := &Service{opts: opts, busy: map[queueID]struct{}{}}
	s.life, s.end = context.WithCancel(context.Background())
	return s
}

// Stop ends all jobs, which give back what they hold, and refuses new ones. It
// returns when they have ended, at the latest when ctx ends, and is idempotent.
func (s *Service) Stop(ctx context.Context) {
	s.mu.Lock()
	s.shut = true
	s.mu.Unlock()
	s.end()
	_ = s.jobs.Wait(ctx) // what is left when its time is up has been ended, too
}

// beginTimeout bounds the wait for the broker before a job.
const beginTimeout = 10 * time.Second

// job is one pass after another over a subscription's dead-letter queue.
type job struct {
	query        Query
	subscription *mesh.Subscription
	letters      broker.Letters
	life         context.Context //nolint:containedctx // of the service; no letter is looked at after it
	report       Report
}

// begin prepares a job, whose context ends with the service. The caller must call
// end.
func (s *Service) begin(ctx context.Context, q Query) (j *job, working context.Context, end func(), err error) {
	sub, err := s.opts.Subscriptions.Declared(q.Subscription)
	if err != nil {
		return nil, nil, nil, err
	}
	id := queueID{sub.Broker, sub.DeadLetterQueue}
	if err := s.enter(id); err != nil {
		return nil, nil, nil, err
	}
	working, cancel := context.WithCancel(ctx)
	unhook := context.AfterFunc(s.life, cancel)
	end = func() { unhook(); cancel(); s.leave(id) }
	j = &job{query: q, subscription: sub, life: s.life, report: Report{Queue: sub.DeadLetterQueue}}
	if err := j.find(working, s.opts.Brokers); err != nil {
		end()
		return nil, nil, nil, s.explain(err)
	}
	return j, working, end, nil
}

func (s *Service) enter(id queueID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		return errDraining()
	}
	if _, ok := s.busy[id]; ok {
		return fmt.Errorf("queue %q: %w of this sidecar: wait for its end, or end it", id.queue, ErrBusy)
	}
	s.busy[id] = struct{}{}
	s.jobs.Add()
	return nil
}

func (s *Service) leave(id queueID) {
	s.mu.Lock()
	delete(s.busy, id)
	s.mu.Unlock()
	s.jobs.Done()
}

// find chooses a node of the broker and counts what is in the queue.
func (j *job) find(ctx context.Context, brokers Brokers) error {
	ctx, cancel := context.WithTimeout(ctx, beginTimeout)
	defer cancel()
	if err := brokers.Ready(ctx, j.subscription.Broker, xds.SubscriptionResource(j.subscription.Name)); err != nil {
		return err
	}
	driver, err := brokers.PickConsumer(j.subscription.Broker)
	if err != nil {
		return err
	}
	letters, ok := driver.(broker.Letters)
	if !ok {
		return &broker.Error{Kind: broker.Conflict, Op: "read dead letters", Err: errors.New("the broker's dead letters cannot be read")}
	}
	count, err := letters.CountLetters(ctx, j.subscription)
	j.letters, j.report.Total, j.report.Consumers = letters, count.Letters, count.Readers
	return err
}

// explain makes a refusal of what ended a job.
func (s *Service) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case s.life.Err() != nil:
		return errDraining()
	case errors.Is(err, broker.ErrTooManyLetters):
		return &refusal.Error{
			Class: refusal.Exhausted, Eventless: true,
			Text: "the queue holds more letters than can be read past: use a limit, or redrive or purge those at its head first",
		}
	}
	return refusal.FromBroker(err)
}

func errDraining() error { return refusal.Later(refusal.Draining, "the sidecar is shutting down") }
