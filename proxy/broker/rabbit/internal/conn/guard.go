package conn

import (
	"math"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Guard ends a connection that is dead without saying so: half-open, or with a
// frozen broker at its other end. Heartbeats need 15 seconds for that.
//
// While somebody waits for the broker (waited says for how long, or a call is in progress) and
// it has sent nothing for two fifths of ConfirmWatch, it is asked something; the
// answer has as long. That is one small exchange for each such silence, and none on
// a connection that is in use or that nobody needs. What waits for something slow on
// a connection that answers goes on waiting.
//
// It looks again when the first of them can have waited for so long: one who begins
// right after a look will have at the next one. When nobody has waited at two looks, and
// nothing was written between them, it sleeps until something is written: whoever waits
// for the broker has written something.
func (s *Session) Guard(waited func() time.Duration) {
	limit := s.Options.ConfirmWatch * 2 / 5
	look := time.NewTimer(limit)
	defer look.Stop()
	var p probe
	var written <-chan struct{} // closed by the first write after the last look; nil if somebody waited then
	for {
		select {
		case <-look.C:
		case <-s.done:
			return
		}
		if s.calls.Load() == 0 && waited() == 0 {
			if !s.sleep(written) {
				return
			}
			written = s.framer.Written()
			look.Reset(limit)
			continue
		}
		written = nil
		longest := min(waited(), limit)
		if s.calls.Load() > 0 {
			longest = limit
		}
		rest := max(limit-s.framer.Silence(), limit-longest)
		if on, _ := s.Alarm.State(); on {
			rest = limit
		}
		if rest <= 0 {
			// The answer does not matter: without one in time the call ends the connection.
			_ = s.callWithin(limit, func() error { return p.ask(s) })
			rest = limit - s.framer.Silence()
		}
		look.Reset(max(rest, time.Millisecond))
	}
}

// sleep waits until written is closed. It returns at once if that is nil, and false when the
// connection is gone.
func (s *Session) sleep(written <-chan struct{}) bool {
	if written == nil {
		return true
	}
	select {
	case <-written:
		return true
	case <-s.done:
		return false
	}
}

// probe is a channel for questions whose answers change nothing.
type probe struct{ ch *amqp.Channel }

func (p *probe) ask(s *Session) (err error) {
	if p.ch == nil || p.ch.IsClosed() {
		p.ch, err = s.Channel()
		return err
	}
	return p.ch.Qos(1, 0, false) // it never has a consumer
}

// Consumed is how long a consumer has waited for the broker: each always does.
func (s *Session) Consumed() time.Duration {
	if s.Consumers.Load() == 0 {
		return 0
	}
	return math.MaxInt64
}
