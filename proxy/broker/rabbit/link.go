package rabbit

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/internal/pace"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/fault"
)

// settled is how long a session must have been up for the backoff to start again
// at its beginning: a broker that accepts and drops is not hammered.
const settled = 100 * time.Millisecond

// link keeps one connection up.
//
//	      ┌──────────── backoff ◀────────────┐
//	      ▼                                  │ refused, cut, no answer
//	   dialing ──▶ preparing ──▶ up ─────────┤
//	handshake      topology,     raised:     │
//	               channels      others use it
//
// Any state ends when run's context does.
type link struct {
	// Set at construction.
	role string
	opts *Options
	log  *slog.Logger
	// prepare makes a session ready before it is raised. drain, nil for none, waits at the end
	// for what is on its way.
	prepare func(context.Context, *session) (drain func(context.Context), err error)

	live atomic.Pointer[session] // nil while down

	// Guarded by mu.
	mu      sync.Mutex
	changed chan struct{} // closed and replaced when live or stopped changes
	stopped bool
	reason  string // why it is down
	logged  int    // AMQP code of the failure told last, -1 for none
}

func newLink(role string, opts *Options, prepare func(context.Context, *session) (drain func(context.Context), err error)) *link {
	return &link{
		role: role, opts: opts, prepare: prepare, changed: make(chan struct{}),
		log:    opts.Logger.With("broker_node", opts.Address, "connection", role),
		reason: "not started", logged: -1,
	}
}

// run keeps the connection up until ctx ends, and closes it.
func (l *link) run(ctx context.Context) {
	defer l.stop()
	delays := backoff{opts: l.opts}
	for ctx.Err() == nil {
		up, err := l.serve(ctx)
		if ctx.Err() != nil {
			return
		}
		if up >= settled {
			delays.reset()
		}
		d := delays.next(err)
		l.down(err, d)
		pace.Sleep(ctx, d)
	}
}

// serve makes one session and returns how long it was up, and why it ended.
func (l *link) serve(ctx context.Context) (up time.Duration, err error) {
	s, err := dial(ctx, l.opts, l.role)
	if err != nil {
		return 0, err
	}
	defer s.close()
	drain, err := l.prepare(ctx, s)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	l.raise(s)
	select {
	case <-s.done:
		l.lower(s.cause.Error())
		return time.Since(start), s.cause
	case <-ctx.Done():
		l.lower("stopping")
		s.drain(drain)
		return time.Since(start), nil
	}
}

// drain waits for what is on its way, and leaves a quarter of CloseTimeout for close.
func (s *session) drain(wait func(context.Context)) {
	if wait == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.CloseTimeout*3/4)
	defer cancel()
	wait(ctx)
}

func (l *link) raise(s *session) {
	l.mu.Lock()
	l.logged = -1
	l.mu.Unlock()
	l.set(s, "")
	l.log.Info("connection is up", "server", s.server)
}

func (l *link) lower(reason string) { l.set(nil, reason) }

// down records the end of a session or of a try to get one. A warning is for news
// only: a node that stays away is told once.
func (l *link) down(err error, next time.Duration) {
	code := failureCode(err)
	l.mu.Lock()
	news := l.logged != code
	l.reason, l.logged = err.Error(), code
	l.mu.Unlock()
	l.opts.OnState()
	level := slog.LevelDebug
	if news {
		level = slog.LevelWarn
	}
	l.log.Log(context.Background(), level, "connection is down", "error", err, "retry_in", next)
}

// failureCode tells failures apart without what differs from try to try, such as
// ports: 0 is the network's.
func failureCode(err error) int {
	var e *amqp.Error
	if errors.As(err, &e) && e.Code != amqp.FrameError {
		return e.Code
	}
	return 0
}

func (l *link) stop() {
	l.mu.Lock()
	l.stopped = true
	l.mu.Unlock()
	l.set(nil, fault.ErrStopped.Error())
}

func (l *link) set(s *session, reason string) {
	l.mu.Lock()
	l.live.Store(s)
	l.reason = reason
	close(l.changed)
	l.changed = make(chan struct{})
	l.mu.Unlock()
	l.opts.OnState()
}

// why returns why the link is down, "" when it is up.
func (l *link) why() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reason
}

// wait returns the session that is up, waiting for one at most until ctx ends.
func (l *link) wait(ctx context.Context) (*session, error) {
	for {
		l.mu.Lock()
		s, changed, stopped := l.live.Load(), l.changed, l.stopped
		l.mu.Unlock()
		switch {
		case stopped:
			return nil, fault.ErrStopped
		case s != nil && !s.lost():
			return s, nil
		case s != nil:
			// Lost, and about to be lowered.
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
