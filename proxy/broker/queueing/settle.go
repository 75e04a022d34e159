package queueing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/warrenmesh/warren/internal/clip"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/event"
)

// putTimeout bounds the publish of one copy.
const putTimeout = 5 * time.Second

// own is what d was before it was handed out.
func own(d *broker.Delivery) *Delivery {
	o, _ := d.Handle.(*Delivery)
	return o
}

// Ack implements broker.Settler.
func (n *Node) Ack(d *broker.Delivery) error { return own(d).Ack() }

// Return implements broker.Settler.
func (n *Node) Return(d *broker.Delivery) error { return own(d).Requeue() }

// Settle implements broker.Settler.
func (n *Node) Settle(ctx context.Context, d *broker.Delivery, s broker.Settlement) error {
	if s.Bury != nil {
		return n.bury(ctx, d, s)
	}
	return n.retry(ctx, d, s)
}

// retry puts a copy of d with the next attempt's number where it waits for its time, then
// acknowledges d. If the copy is not confirmed d stays: it may be delivered twice, but it
// is not lost. A queue that makes retries wait needs no copy: d goes back, and is counted
// there.
//
// Where others declare topology there may be no waiting room. Then d waits here,
// unsettled, and counts against the prefetch; the copy goes straight to the queue.
func (n *Node) retry(ctx context.Context, d *broker.Delivery, s broker.Settlement) error {
	sub := s.Subscription
	if sub.Strategy == mesh.BrokerDelay {
		return own(d).Requeue()
	}
	m := copyOf(d, s)
	queue, delay := retryQueue(sub, d.Attempt, s.RetryAfter.Wish)
	m.RoutingKey, m.Attempt = queue, d.Attempt+1
	err := n.put(ctx, m)
	if broker.KindOf(err) == broker.Unroutable && queue != sub.Queue.Name {
		if !wait(ctx, min(delay, s.RetryAfter.Longest), s.RetryAfter.Leaving) {
			return err
		}
		m.RoutingKey = sub.Queue.Name
		err = n.put(ctx, m)
	}
	if err != nil {
		return err
	}
	return own(d).Ack()
}

// wait reports whether all of d passed before ctx ended or leaving was closed.
func wait(ctx context.Context, d time.Duration, leaving <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-leaving:
	case <-ctx.Done():
	}
	return false
}

// errNotBacked is why a message whose body was left behind stays: only its queue could
// have moved it.
var errNotBacked = errors.New("the queue has no dead-letter queue of its own any more; the message is too large to be read")

// bury puts d, or what of it the broker takes, into the dead-letter queue, then
// acknowledges it. What cannot go there as a copy its queue itself puts there, whole.
func (n *Node) bury(ctx context.Context, d *broker.Delivery, s broker.Settlement) error {
	if d.LeftBehind {
		return n.reject(d)
	}
	m := n.letter(d, s)
	err := n.put(ctx, m)
	switch {
	case !broker.Never(err):
	case n.on.Backed(d.Part):
		return n.reject(d)
	default:
		err = n.put(ctx, stub(d, m, err))
	}
	if err != nil {
		return err
	}
	return own(d).Ack()
}

// reject leaves d to its queue.
func (n *Node) reject(d *broker.Delivery) error {
	if !n.on.Backed(d.Part) {
		return &broker.Error{Kind: broker.NotFound, Outcome: broker.Failed, Op: fmt.Sprintf("reject a message of queue %q", d.Part), Err: errNotBacked}
	}
	return own(d).Reject()
}

// copyOf starts a message for the default exchange that is d once more: nothing of it
// is written anew but what Warren itself says about it.
func copyOf(d *broker.Delivery, s broker.Settlement) *Message {
	return &Message{
		Of: own(d).Original, Event: d.Event, Headers: d.Headers, ReplyTo: d.ReplyTo, ContentEncoding: d.ContentEncoding,
		Trace: d.Trace, Priority: d.Priority, Mandatory: true, Persistent: true, AppID: d.AppID,
		OriginExchange: d.Origin.Name, OriginKey: d.Origin.Key, FirstFailure: d.FirstFailure, Crashes: d.Crashes,
		Partition: d.Partition, Partitioned: d.Partitioned, Expires: d.Expires, Republished: s.Again,
	}
}

func (n *Node) letter(d *broker.Delivery, s broker.Settlement) *Message {
	m := copyOf(d, s)
	m.RoutingKey = s.Subscription.DeadLetterQueue
	m.Attempt = d.Attempt
	m.Whole = n.on.Backed(d.Part) // then the queue itself can give up what is too large
	m.DeadLetter = &broker.DeadLetter{
		Reason:       s.Bury.Reason,
		Detail:       clip.String(s.Bury.Detail, maxDetail),
		Subscription: s.Subscription.Name.String(),
		Origin:       d.Origin,
		Attempts:     d.Attempt,
		FirstFailure: d.FirstFailure,
		Time:         time.Now(),
	}
	return m
}

const (
	maxDetail = 200  // bytes of a letter's detail that are kept
	maxStub   = 1024 // bytes of each of a stub's texts
)

// stub is the letter m of d with nothing but who it was: err says that the broker takes
// no more of it.
func stub(d *broker.Delivery, m *Message, err error) *Message {
	stub, said := *m, *m.DeadLetter
	stub.Of, stub.Headers, stub.ReplyTo, stub.ContentEncoding, stub.Whole = nil, nil, "", "", false
	stub.Trace = broker.TraceContext{}
	stub.Event = &event.Event{ID: d.ID, Source: "/warren/" + said.Subscription, Type: "io.warrenmesh.malformed"}
	if e := d.Event; e != nil {
		stub.Event = &event.Event{ID: clip.String(e.ID, maxStub), Source: clip.String(e.Source, maxStub), Type: clip.String(e.Type, maxStub)}
	}
	said.Cut = clip.String(fmt.Sprintf("everything but id, source and type, with %d bytes of data: %v", d.Size, err), maxDetail)
	stub.DeadLetter = &said
	return &stub
}

// put publishes m and waits for the confirm.
func (n *Node) put(ctx context.Context, m *Message) error {
	ctx, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	outcome := make(chan error, 1)
	n.on.Publish(ctx, []Message{*m}, func(_, _ int, err error) { outcome <- err })
	return <-outcome
}
