package conn

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/fault"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/frame"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

// Session is one AMQP connection from its handshake to its end. It is never
// reused: a reconnect makes a new one.
type Session struct {
	// Set at construction.
	Options *Options
	conn    *amqp.Connection
	framer  *frame.Framer // under conn
	Server  string        // product and version
	Alarm   Alarm
	done    chan struct{} // closed when the connection is gone
	cause   error         // why; set before done is closed

	opening sync.Mutex // held while the library opens a channel, by all who let it

	calls     atomic.Int32 // in progress
	Consumers atomic.Int32 // attached; each always waits for the broker

	// Guarded by mu.
	mu      sync.Mutex
	closing bool
	tasks   sync.WaitGroup // every goroutine that uses conn; added to under mu
}

// silentClose is RabbitMQ's pause before it closes the socket of a client with
// wrong credentials, less a margin.
const silentClose = time.Second

// wasCut tells what the library takes for a refusal when the connection just ends
// during the handshake. A refused vhost is always answered; refused credentials
// are not, but their end comes late.
func wasCut(err error, took time.Duration) bool {
	return errors.Is(err, amqp.ErrVhost) || errors.Is(err, amqp.ErrCredentials) && took < silentClose
}

// errCut replaces the library's guess about a socket that was closed during the
// handshake; see dial.
var errCut = errors.New("connection closed during the handshake")

// dial connects and shakes hands.
func dial(ctx context.Context, opts *Options, role string) (*Session, error) {
	ctx, cancel := context.WithTimeout(ctx, opts.DialTimeout)
	defer cancel()
	username, password, err := opts.Credentials()
	if err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	raw, err := opts.Dial(ctx, "tcp", opts.Address)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", opts.Address, err)
	}
	s := &Session{Options: opts, framer: frame.NewFramer(raw, opts.WriteTimeout), done: make(chan struct{})}
	stop := context.AfterFunc(ctx, s.Kill)
	start := time.Now()
	conn, err := amqp.Open(s.framer, s.config(role, username, password))
	if !stop() {
		err = context.Cause(ctx) // the socket was closed by us
	}
	if err != nil {
		s.Kill()
		if wasCut(err, time.Since(start)) {
			err = errCut
		}
		return nil, fmt.Errorf("open connection to %s: %w", opts.Address, err)
	}
	s.conn = conn
	s.identify()
	s.watch()
	return s, nil
}

func (s *Session) config(role, username, password string) amqp.Config {
	properties := amqp.Table{"product": "Warren"} // the library writes to it: fresh per dial
	properties.SetClientConnectionName(s.Options.ConnectionName + " " + role)
	return amqp.Config{
		SASL:       []amqp.Authentication{&amqp.PlainAuth{Username: username, Password: password}},
		Vhost:      s.Options.VHost,
		Heartbeat:  s.Options.Heartbeat,
		FrameSize:  message.FrameSize,
		Locale:     "en_US",
		Properties: properties,
	}
}

func (s *Session) identify() { s.Server = serverName(s.conn.Properties) }

// serverName is a server's product and version, by its properties.
func serverName(properties amqp.Table) string {
	product, _ := properties["product"].(string)
	version, _ := properties["version"].(string)
	return strings.TrimSpace(product + " " + version)
}

// watch starts the one reader of the connection's notifications. It ends with
// the connection.
func (s *Session) watch() {
	closes := s.conn.NotifyClose(make(chan *amqp.Error, 1))
	blocks := s.conn.NotifyBlocked(make(chan amqp.Blocking, 1))
	s.Spawn(func() {
		for {
			select {
			case e, ok := <-closes:
				s.cause = amqp.ErrClosed
				if ok {
					s.cause = e
				}
				close(s.done)
				return
			case b, ok := <-blocks:
				if !ok {
					blocks = nil
					continue
				}
				s.Alarm.Set(b.Active, b.Reason)
				s.Options.OnState()
			}
		}
	})
}

// Spawn runs fn in a goroutine that close waits for. It does nothing and returns
// false once close has begun.
func (s *Session) Spawn(fn func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.tasks.Go(fn)
	return true
}

// Do runs fn, which uses the connection, and waits for it at most until ctx ends or
// the broker blocks the connection.
func (s *Session) Do(ctx context.Context, fn func() error) error {
	result := make(chan error, 1)
	if !s.Spawn(func() { result <- fn() }) {
		return amqp.ErrClosed
	}
	select {
	case err := <-result:
		return err
	case <-s.Alarm.Signal():
		return fault.ErrBlocked
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Call runs fn, which waits for answers of the broker. Without them it ends the
// connection, for fn cannot be abandoned otherwise.
func (s *Session) Call(fn func() error) error { return s.callWithin(s.Options.CallTimeout, fn) }

func (s *Session) callWithin(d time.Duration, fn func() error) error {
	s.calls.Add(1)
	defer s.calls.Add(-1)
	t := time.AfterFunc(d, s.suspect)
	defer t.Stop()
	return fn()
}

// suspect ends a connection whose broker does not answer. One that blocks it need
// not: then heartbeats tell whether it lives.
func (s *Session) suspect() {
	if on, _ := s.Alarm.State(); !on {
		s.Kill()
	}
}

// Channel opens a channel of the library.
func (s *Session) Channel() (*amqp.Channel, error) {
	s.opening.Lock()
	defer s.opening.Unlock()
	return s.conn.Channel()
}

// HotChannel opens a channel whose content and confirms go to t; see frame.Framer.Heat.
func (s *Session) HotChannel(t frame.Taker, maxBody int) (*amqp.Channel, *frame.Channel, error) {
	s.opening.Lock()
	defer s.opening.Unlock()
	ch, err := s.conn.Channel()
	if err != nil {
		return nil, nil, err
	}
	return ch, s.framer.Heat(t, maxBody), nil
}

// Throwaway runs fn on a channel of its own, so that a refusal closes nothing that
// others use.
func (s *Session) Throwaway(fn func(*amqp.Channel) error) error {
	return s.Call(func() error {
		ch, err := s.Channel()
		if err != nil {
			return fmt.Errorf("open channel: %w", err)
		}
		return errors.Join(fn(ch), ch.Close())
	})
}

// Done is closed when the connection is gone.
func (s *Session) Done() <-chan struct{} { return s.done }

// Silence is how long the broker has sent nothing.
func (s *Session) Silence() time.Duration { return s.framer.Silence() }

// FrameSize is what was agreed for frames.
func (s *Session) FrameSize() int { return s.conn.Config.FrameSize }

// Lost reports whether the connection is gone.
func (s *Session) Lost() bool {
	select {
	case <-s.done:
		return true
	default:
		return s.conn.IsClosed()
	}
}

// Kill closes the socket, which ends everything that waits on the connection.
func (s *Session) Kill() { _ = s.framer.Close() }

// close ends the connection with the closing handshake, bounded by what drain left
// of CloseTimeout, and waits for the session's goroutines.
func (s *Session) close() {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	t := time.AfterFunc(s.Options.CloseTimeout/4, s.Kill)
	// The error says that the connection was gone before, or that the watchdog
	// ended it: nothing is left to be done about either.
	_ = s.conn.Close()
	t.Stop()
	s.Kill()
	s.tasks.Wait()
}
