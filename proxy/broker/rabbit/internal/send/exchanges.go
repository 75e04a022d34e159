package send

import (
	"context"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"golang.org/x/sync/singleflight"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/conn"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/fault"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/layout"
)

// exchanges is what one session knows about exchanges. A publish to a missing or
// forbidden one closes its channel, with everybody's unconfirmed publishes on it,
// so each is asked for before its first publish, on a channel of its own.
type exchanges struct {
	session *conn.Session
	objects *layout.Objects
	asking  singleflight.Group

	mu      sync.RWMutex
	known   map[string]struct{}
	refused map[string]time.Time // write access denied, found out at this time
}

func newExchanges(s *conn.Session, o *layout.Objects) *exchanges {
	e := &exchanges{session: s, objects: o, known: map[string]struct{}{"": {}}, refused: map[string]time.Time{}}
	for _, x := range o.All().Exchanges {
		e.known[x.Name] = struct{}{} // restored before the session's first publish
	}
	return e
}

// know returns nil when the exchange exists, as far as is known.
func (e *exchanges) know(ctx context.Context, name string) error {
	e.mu.RLock()
	_, known := e.known[name]
	refused, denied := e.refused[name]
	e.mu.RUnlock()
	if denied && time.Since(refused) < e.session.Options.SlowBackoff {
		return fault.NotSent(broker.Refused, fault.PublishOp(name), fmt.Errorf("the broker refused write access %v ago", time.Since(refused).Round(time.Millisecond)))
	}
	if known {
		return nil
	}
	err := e.session.Do(ctx, func() error {
		_, err, _ := e.asking.Do(name, func() (any, error) { return nil, e.ask(name) })
		return err
	})
	if err != nil {
		return fault.NotSent(fault.KindOf(err), fault.PublishOp(name), err)
	}
	e.learn(name)
	return nil
}

// ask finds out whether the exchange exists. One that this process declared is
// declared again before, with what is bound to it.
func (e *exchanges) ask(name string) error {
	if e.objects.HasExchange(name) {
		// A refusal may be about another object; the question below is about this one.
		_ = e.objects.Restore(e.session)
	}
	return e.session.Throwaway(func(ch *amqp.Channel) error {
		return ch.ExchangeDeclarePassive(name, "topic", true, false, false, false, nil) // the type is not compared
	})
}

func (e *exchanges) learn(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.known[name] = struct{}{}
}

// fault draws the conclusion from a channel's end: an exchange that is gone must
// be asked for again, one that is forbidden is not tried for a while.
func (e *exchanges) fault(err error) {
	name, kind, ok := fault.Exchange(err)
	if !ok || name == "" {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.known, name)
	if kind == broker.Refused {
		e.refused[name] = time.Now()
		e.known[name] = struct{}{}
	}
}
