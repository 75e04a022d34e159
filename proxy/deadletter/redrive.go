package deadletter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/xds/mesh"
)

// Destination is where letters are sent back to.
type Destination int

// The destinations.
const (
	Subscription Destination = iota // the queue of the subscription alone
	Topic                           // the exchange of the first publish: every subscription gets it again
)

// String returns the destination in a word.
func (d Destination) String() string {
	switch d {
	case Subscription:
		return "subscription"
	case Topic:
		return "topic"
	default:
		return fmt.Sprintf("Destination(%d)", int(d))
	}
}

// Redrive says how letters are sent back.
type Redrive struct {
	To Destination
	// PerSecond is the most letters a second; 0 means no bound but the broker's.
	PerSecond float64
	// DryRun only counts.
	DryRun bool
}

// reasonInvalidEvent is what deliver gives a message that never was an event. The
// letter is a description of it, not the message itself.
const reasonInvalidEvent = "invalid-event"

// putTimeout bounds the publish of one letter.
const putTimeout = 5 * time.Second

// Redrive sends the letters that q chooses back as first attempts: what they say of
// their death is gone, event, trace context and origin are kept. They are marked as
// repeated, for the service may have had them before. A letter that cannot be an
// event on this broker, or never was one, stays and is counted as failed; any other
// failure ends the job with what is left untouched. progress, which may be nil, is
// told after every letter that was read.
func (s *Service) Redrive(ctx context.Context, q Query, how Redrive, progress func(Report)) (Report, error) {
	pace := pacer{perSecond: how.PerSecond}
	return s.work(ctx, q, func(ctx context.Context, j *job, d *broker.Delivery) (bool, error) {
		if d.DeadLetter.Reason == reasonInvalidEvent {
			j.failed(d, errors.New("it never was an event: see what its producer sends"))
			return false, nil
		}
		if how.DryRun {
			j.report.Done++
			return false, nil
		}
		if err := pace.wait(ctx); err != nil {
			return false, err
		}
		return j.redrive(ctx, d, how.To)
	}, progress)
}

// redrive publishes d anew, and removes the letter once that is confirmed. What has
// begun is brought to its end, however ctx fares.
func (j *job) redrive(ctx context.Context, d *broker.Delivery, to Destination) (settled bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putTimeout)
	defer cancel()
	err = j.put(ctx, revived(j.subscription, d, to))
	switch broker.KindOf(err) {
	case broker.Invalid, broker.TooLarge:
		j.failed(d, err)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if d.Ack() != nil {
		return false, &broker.Error{Kind: broker.Closed, Outcome: broker.Unknown, Op: fmt.Sprintf("remove letter %q", d.Event.ID),
			Err: errors.New("it was sent back, but the connection was lost before it could be removed: it is still there, too")}
	}
	j.report.Done++
	return true, nil
}

func (j *job) failed(d *broker.Delivery, err error) {
	j.report.Failed++
	j.report.Failure = fmt.Sprintf("letter %q: %v", d.Event.ID, err)
}

// put publishes m and waits for the confirm.
func (j *job) put(ctx context.Context, m *broker.Message) error {
	receipt, err := j.driver.Publish(ctx, m)
	if err != nil {
		return err
	}
	return receipt.Wait(ctx)
}

// revived is the message that a letter was before its first attempt.
func revived(s *mesh.Subscription, d *broker.Delivery, to Destination) *broker.Message {
	m := &broker.Message{
		Event: d.Event, Trace: d.Trace, Priority: d.Priority, AppID: d.AppID,
		Mandatory: true, Persistent: true, Republished: true,
		Partition: d.Partition, Partitioned: d.Partitioned,
	}
	if to == Topic {
		m.Exchange, m.RoutingKey = d.Exchange, d.RoutingKey
		return m
	}
	m.RoutingKey = home(s, d)
	m.OriginExchange, m.OriginKey = d.Exchange, d.RoutingKey
	return m
}

// home is the queue of a subscription that an event comes from: with one queue a
// partition, where the partitioner would have led it.
func home(s *mesh.Subscription, d *broker.Delivery) string {
	switch {
	case s.Ordering != mesh.PerKey:
		return s.Queue.Name
	case d.Partitioned && d.Partition < s.Partitions.Count:
		return s.Queue.Partition(d.Partition)
	default:
		return s.Queue.Partition(0)
	}
}

// pacer spreads letters evenly over time.
type pacer struct {
	perSecond float64 // 0 means at once
	next      time.Time
}

// wait returns when the next letter is due; the first is at once.
func (p *pacer) wait(ctx context.Context) error {
	if p.perSecond <= 0 {
		return ctx.Err()
	}
	now := time.Now()
	due := p.next
	if due.Before(now) {
		due = now
	}
	p.next = due.Add(time.Duration(float64(time.Second) / p.perSecond))
	timer := time.NewTimer(due.Sub(now))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
