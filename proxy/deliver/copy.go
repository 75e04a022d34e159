package deliver

import (
	"context"
	"fmt"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/tracing"
)

// copyOf starts a message for the default exchange that is d once more: nothing of it
// is written anew but what Warren itself says about it.
func (st *settler) copyOf(d *delivery) *broker.Message {
	return &broker.Message{
		Of: d.Original, Event: d.Event, Headers: d.Headers, ReplyTo: d.ReplyTo, ContentEncoding: d.ContentEncoding,
		Trace: d.Trace, Priority: d.Priority, Mandatory: true, Persistent: true, AppID: d.AppID,
		OriginExchange: d.Exchange, OriginKey: d.RoutingKey, FirstFailure: d.FirstFailure, Crashes: d.Crashes,
		Partition: d.Partition, Partitioned: d.Partitioned, Expires: d.Expires,
	}
}

func (st *settler) letter(d *delivery, reason, detail string) *broker.Message {
	sub := d.sub
	m := st.copyOf(d)
	m.RoutingKey = sub.DeadLetterQueue
	m.Attempt = d.Attempt
	m.Whole = st.driver.Backed(d.Queue) // then the queue itself can give up what is too large
	m.DeadLetter = &broker.DeadLetter{
		Reason:       reason,
		Detail:       clip(detail),
		Subscription: sub.FullName,
		Exchange:     d.Exchange,
		RoutingKey:   d.RoutingKey,
		Attempts:     d.Attempt,
		FirstFailure: d.FirstFailure,
		Time:         time.Now(),
	}
	return m
}

// maxStub bounds each of a stub's texts in bytes.
const maxStub = 1024

// stub is the letter m of d with nothing but who it was: err says that the broker takes
// no more of it.
func (st *settler) stub(d *delivery, m *broker.Message, err error) *broker.Message {
	stub, said := *m, *m.DeadLetter
	stub.Of, stub.Headers, stub.ReplyTo, stub.ContentEncoding, stub.Whole = nil, nil, "", "", false
	stub.Trace = broker.TraceContext{}
	stub.Event = &event.Event{ID: d.ID, Source: "/warren/" + st.name.String(), Type: "io.warrenmesh.malformed"}
	if e := d.Event; e != nil {
		stub.Event = &event.Event{ID: clipTo(e.ID, maxStub), Source: clipTo(e.Source, maxStub), Type: clipTo(e.Type, maxStub)}
	}
	said.Cut = clip(fmt.Sprintf("everything but id, source and type, with %d bytes of data: %v", d.Size, err))
	stub.DeadLetter = &said
	return &stub
}

// put publishes m and waits for the confirm.
func (st *settler) put(m *broker.Message) error {
	ctx, cancel := context.WithTimeout(st.life, settleTimeout)
	defer cancel()
	receipt, err := st.driver.Publish(ctx, m)
	if err != nil {
		return err
	}
	return receipt.Wait(ctx)
}

// never reports whether err says that a message cannot be published as it is, however
// often that is tried.
func never(err error) bool {
	kind := broker.KindOf(err)
	return kind == broker.TooLarge || kind == broker.Invalid
}

// putLetter publishes m, the letter of d, or what of it the broker takes. aside reports
// that d itself can go: its queue gives it to its dead-letter queue, whole.
func (st *settler) putLetter(d *delivery, m *broker.Message) (aside bool, err error) {
	if leftBehind(d) {
		return true, nil
	}
	if err = st.put(m); !never(err) {
		return false, err
	}
	if st.driver.Backed(d.Queue) {
		return true, nil
	}
	return false, st.put(st.stub(d, m, err))
}

// leftBehind reports whether d's body was not read: there is nothing to copy.
func leftBehind(d *delivery) bool { return d.Event == nil && d.Original == nil }

// close settles d for good: its letter is confirmed, or it is its queue's to keep it.
func (st *settler) close(d *delivery, aside bool) error {
	st.service.ledger.settled(st, d)
	if !aside {
		return st.tell(st.life, tracing.Ack, d, d.Ack)
	}
	return st.tell(st.life, tracing.Reject, d, d.Reject)
}

// finish acknowledges d once its copy, which stands for it, is confirmed. When err says
// that it is not, finish gives d back, after a rest, and returns err.
func (st *settler) finish(d *delivery, queue string, err error) error {
	if err != nil {
		return st.refused(d, queue, err)
	}
	st.troubled.Store(false)
	_ = st.close(d, false) // stale: counted, and delivered again
	return nil
}

// refused gives d back, whose copy the broker did not take. One that has no attempt left
// is not handed out again.
func (st *settler) refused(d *delivery, queue string, err error) error {
	st.trouble(queue, err)
	st.hold(requeueDelay)
	if d.Event != nil && d.Attempt >= d.sub.Attempts {
		st.service.ledger.failed(st, d, time.Now())
	} else {
		st.service.ledger.unsettled(st, d)
	}
	_ = st.tell(st.life, tracing.Reject, d, d.Requeue) // stale: its channel is gone, and it is back already
	return err
}

// trouble says once, until a copy is confirmed again, that none can be published.
func (st *settler) trouble(queue string, err error) {
	if !st.troubled.Swap(true) {
		st.service.opts.Logger.Warn("deliveries cannot be settled: they wait, or go back to their queue",
			"subscription", st.name.String(), "queue", queue, "error", err)
	}
}

func clip(s string) string { return clipTo(s, maxReason) }
