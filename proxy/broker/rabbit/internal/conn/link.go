package conn

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/internal/pace"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/fault"
)

// settled is how long a session must have been up for the backoff to start again
// at its beginning: a broker that accepts and drops is not hammered.
const settled = 100 * time.Millisecond

// Prepare makes a session ready before its link raises it for others to use. drain, nil for
// none, waits at the link's end for what is on its way, at most until its context ends.
type Prepare func(context.Context, *Session) (drain func(context.Context), err error)

// Link keeps one connection up.
//
//	      ┌──────────── backoff ◀────────────┐
//	      ▼                                  │ refused, cut, no answer
//	   dialing ──▶ preparing ──▶ up ─────────┤
//	handshake      topology,     raised:     │
//	               channels      others use it
//
// Any state ends when run's context does.
type Link struct {
	// Set at construction.
	role    string
	opts    *Options
	log     *slog.Logger
	prepare Prepare

	live atomic.Pointer[Session] // nil while down

	// Guarded by mu.
	mu      sync.Mutex
	changed chan struct{} // closed and replaced when live or stopped changes
	stopped bool
	reason  string // why it is down
	logged  int    // AMQP code of the failure told last, -1 for none
}

// NewLink makes a link. role is told in logs and in the broker's tools.
func NewLink(role string, opts *Options, prepare Prepare) *Link {
	return &Link{
		role: role, opts: opts, prepare: prepare, changed: make(chan struct{}),
		log:    opts.Logger.With("broker_node", opts.Address, "connection", role),
		reason: "not started", logged: -1,
	}
}

// Run keeps the connection up until ctx ends, and closes it.
func (l *Link) Run(ctx context.Context) {
	defer l.stop()
	delays := NewBackoff(l.opts)
	for ctx.Err() == nil {
		up, err := l.serve(ctx)
		if ctx.Err() != nil {
			return
		}
		if up >= settled {
			delays.Reset()
		}
		d := delays.Next(err)
		l.down(err, d)
		pace.Sleep(ctx, d)
	}
}

// serve makes one session and returns how long it was up, and why it ended.
func (l *Link) serve(ctx context.Context) (up time.Duration, err error) {
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
func (s *Session) drain(wait func(context.Context)) {
	if wait == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.Options.CloseTimeout*3/4)
	defer cancel()
	wait(ctx)
}

func (l *Link) raise(s *Session) {
	l.mu.Lock()
	l.logged = -1
	l.mu.Unlock()
	l.set(s, "")
	l.log.Info("connection is up", "server", s.Server)
}

func (l *Link) lower(reason string) { l.set(nil, reason) }

// down records the end of a session or of a try to get one. A warning is for news
// only: a node that stays away is told once.
func (l *Link) down(err error, next time.Duration) {
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

func (l *Link) stop() {
	l.mu.Lock()
	l.stopped = true
	l.mu.Unlock()
	l.set(nil, fault.ErrStopped.Error())
}

func (l *Link) set(s *Session, reason string) {
	l.mu.Lock()
	l.live.Store(s)
	l.reason = reason
	close(l.changed)
	l.changed = make(chan struct{})
	l.mu.Unlock()
	l.opts.OnState()
}

// Live returns the session that is up, nil while there is none.
func (l *Link) Live() *Session { return l.live.Load() }

// Why returns why the link is down, "" when it is up.
func (l *Link) Why() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reason
}

// Wait returns the session that is up, waiting for one at most until ctx ends.
func (l *Link) Wait(ctx context.Context) (*Session, error) {
	for {
		l.mu.Lock()
		s, changed, stopped := l.live.Load(), l.changed, l.stopped
		l.mu.Unlock()
		switch {
		case stopped:
			return nil, fault.ErrStopped
		case s != nil && !s.Lost():
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
