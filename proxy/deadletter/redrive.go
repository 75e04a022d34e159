package deadletter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/event"
)

// Destination is where letters are sent back to.
type Destination int

// The destinations.
const (
	Subscription Destination = iota // the queue of the subscription alone
	Topic                           // the topic's exchange: every subscription gets it again
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

// putTimeout bounds the publish of one letter.
const putTimeout = 5 * time.Second

// Redrive sends the letters that q chooses back as first attempts: each as the message
// that it was when it was first published, whether or not that is an event, without
// what Warren added since. They are marked as repeated, for the service may have had them
// before. A letter that cannot go back as it is stays, and is counted as failed: one whose
// event has expired, one that was cut, one that the broker does not take, and one that
// is to go to the topic but names another exchange than the topic's. Any other failure
// ends the job with what is left untouched. progress, which may be nil, is told after
// every letter that was read.
func (s *Service) Redrive(ctx context.Context, q Query, how Redrive, progress func(Report)) (Report, error) {
	pace := pacer{perSecond: how.PerSecond}
	return s.work(ctx, q, func(ctx context.Context, j *job, d *broker.Delivery) (bool, error) {
		if err := unfit(j.subscription, d, how.To); err != nil {
			j.failed(d, err)
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
	err = j.letters.ReviveLetter(ctx, j.subscription, d, to == Topic)
	if broker.Never(err) {
		j.failed(d, err)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if d.Ack() != nil {
		return false, &broker.Error{Kind: broker.Closed, Outcome: broker.Unknown, Op: fmt.Sprintf("remove letter %q", d.MessageID()),
			Err: errors.New("it was sent back, but the connection was lost before it could be removed: it is still there, too")}
	}
	j.report.Done++
	return true, nil
}

func (j *job) failed(d *broker.Delivery, err error) {
	j.report.Failed++
	j.report.Failure = fmt.Sprintf("letter %q: %v", d.MessageID(), err)
}

// What letters of messages that were no event had, before those were kept themselves.
const (
	reasonInvalidEvent = "invalid-event"
	typeMalformed      = "io.warrenmesh.malformed"
)

// unfit returns why a letter cannot go back, nil when it can. Where letters go is said
// by the configuration: anybody who can write to the dead-letter queue can write another
// exchange into one.
func unfit(s *mesh.Subscription, d *broker.Delivery, to Destination) error {
	switch {
	case d.DeadLetter.Cut != "":
		return fmt.Errorf("it is not whole, the broker did not take all of it: %s", d.DeadLetter.Cut)
	case to == Topic && d.Origin.Name != s.Exchange.Name:
		return fmt.Errorf("it was published to exchange %q, and that of topic %s is %q: send it to the subscription", d.Origin.Name, s.Topic, s.Exchange.Name)
	case d.Event == nil:
		return nil
	case d.Event.Type == typeMalformed && d.DeadLetter.Reason == reasonInvalidEvent:
		return errors.New("it describes a message that was no event, as versions before 0.4 did, and is not that message")
	}
	if v, ok := d.Event.Lookup(event.AttrExpiryTime); ok && v.Kind() == event.KindTimestamp && !time.Now().Before(v.Time()) {
		return fmt.Errorf("its expirytime %s has passed", v)
	}
	return nil
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
