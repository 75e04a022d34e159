package logbroker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
)

// flow is one receiver.
type flow struct {
	driver *Driver
	group  *group
	index  int // number of the part
	part   *part
	from   broker.Receiving

	// guarded by the broker's mu
	epoch uint64
	tags  uint64
	held  map[uint64]*copyOf
	over  bool // its epoch has ended
}

// Interrupt ends the current epoch of each receiver of d. They continue in another
// epoch.
func (d *Driver) Interrupt() {
	b := d.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	for f := range b.flows[d] {
		f.over = true
	}
	b.tell()
}

// Receive implements broker.Receiver.
func (d *Driver) Receive(ctx context.Context, from broker.Receiving, sink func([]*broker.Delivery)) (drain func(), err error) {
	f, err := d.attach(from)
	if err != nil {
		return nil, err
	}
	var batch []*broker.Delivery
	for ctx.Err() == nil {
		next, lost, news, due := f.next(time.Now())
		if next != nil {
			batch = append(batch, next)
			if len(batch) < from.AtOnce {
				continue
			}
		}
		if len(batch) > 0 {
			sink(batch)
			batch = batch[:0]
		}
		if next != nil {
			continue
		}
		if lost != 0 {
			if from.Lost != nil {
				from.Lost(f.part.name, lost)
			}
			continue
		}
		var timer <-chan time.Time
		if !due.IsZero() {
			timer = time.After(time.Until(due))
		}
		select {
		case <-news:
		case <-timer:
		case <-ctx.Done():
		}
	}
	return f.end, nil
}

func (d *Driver) attach(from broker.Receiving) (*flow, error) {
	b, s := d.broker, from.Subscription
	b.mu.Lock()
	defer b.mu.Unlock()
	g, err := b.group(s, "receive")
	if err != nil {
		return nil, err
	}
	index := 0
	if s.Ordering == mesh.PerKey {
		if index = slices.Index(partNames(s), from.Part); index < 0 {
			return nil, &broker.Error{Kind: broker.Invalid, Op: "receive " + s.Name.String(), Err: fmt.Errorf("it has no part %q", from.Part)}
		}
	}
	f := &flow{driver: d, group: g, index: index, part: g.parts[index], from: from, epoch: b.epochs.Add(1), held: map[uint64]*copyOf{}}
	if b.flows[d] == nil {
		b.flows[d] = map[*flow]struct{}{}
	}
	b.flows[d][f] = struct{}{}
	return f, nil
}

// next returns the next delivery, the epoch that has ended, or the time of the next
// look.
func (f *flow) next(now time.Time) (d *broker.Delivery, lost uint64, news <-chan struct{}, due time.Time) {
	b := f.driver.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	if f.over {
		lost = f.epoch
		f.giveBack()
		f.epoch, f.over = b.epochs.Add(1), false
		return nil, lost, nil, due
	}
	ordered := f.from.Subscription.Ordering == mesh.PerKey
	if len(f.held) >= f.from.Prefetch || ordered && f.part.holder != nil && f.part.holder != f {
		return nil, 0, b.news, due
	}
	c, due := f.group.take(f.index, now)
	if c == nil {
		return nil, 0, b.news, due
	}
	if ordered {
		f.part.holder = f
	}
	f.tags++
	f.held[f.tags] = c
	d = deliver(c, f.part.name)
	d.Epoch, d.Tag, d.Settler, d.Handle = f.epoch, f.tags, f, c
	if own := f.from.Subscription.Exchange.Name; c.record.at != own && b.logs[c.record.at] != nil {
		d.Topic = b.logs[c.record.at].topic.String()
	}
	return d, 0, nil, due
}

// giveBack is called with the broker's mu held.
func (f *flow) giveBack() {
	held := make([]*copyOf, 0, len(f.held))
	for _, c := range f.held {
		held = append(held, c)
	}
	clear(f.held)
	if f.part.holder == f {
		f.part.holder = nil
	}
	f.part.back(held...)
	f.driver.broker.tell()
}

// end returns the unsettled copies.
func (f *flow) end() {
	b := f.driver.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, open := b.flows[f.driver][f]; !open {
		return
	}
	delete(b.flows[f.driver], f)
	f.giveBack()
}

// deliver makes the delivery of a copy.
func deliver(c *copyOf, part string) *broker.Delivery {
	m := &c.record.message
	d := &broker.Delivery{
		Event: m.Event, Raw: c.record.raw, Headers: m.Headers, ReplyTo: m.ReplyTo, ContentEncoding: m.ContentEncoding,
		Lifetime: m.TTL, Expires: m.Expires, Trace: m.Trace, Origin: broker.Origin{Name: c.record.at, Key: m.Key},
		Part: part, Attempt: c.attempt, Redelivered: c.returned || c.repeated, Returning: c.returned, AppID: m.AppID,
		FirstFailure: c.failed, Crashes: c.crashes, Partition: m.Partition, Partitioned: m.Partitioned,
	}
	if m.Event != nil {
		d.Raw = m.Event.Data
	} else {
		sum := sha256.Sum256(c.record.raw)
		d.ID, d.Malformed = hex.EncodeToString(sum[:8]), errors.New("the record is no event")
	}
	d.Size = len(d.Raw)
	return d
}

// settled removes d from the held deliveries. It is called with the broker's mu held.
func (f *flow) settled(d *broker.Delivery) (*copyOf, error) {
	c := f.held[d.Tag]
	if c == nil || d.Epoch != f.epoch || f.over {
		return nil, broker.ErrStale
	}
	delete(f.held, d.Tag)
	return c, nil
}

// Ack implements broker.Settler.
func (f *flow) Ack(d *broker.Delivery) error {
	return f.settle(d, func(*copyOf) {})
}

// Return implements broker.Settler.
func (f *flow) Return(d *broker.Delivery) error {
	return f.settle(d, func(c *copyOf) { f.part.back(c) })
}

// Settle implements broker.Settler. It is one step under the lock, so that no one sees
// the dead letter and the original together.
func (f *flow) Settle(_ context.Context, d *broker.Delivery, s broker.Settlement) error {
	return f.settle(d, func(c *copyOf) {
		next := *c
		next.failed, next.crashes, next.returned, next.repeated = d.FirstFailure, d.Crashes, false, c.repeated || s.Again
		if s.Bury != nil {
			next.attempt = d.Attempt
			f.group.letters = append(f.group.letters, &letter{&next, broker.DeadLetter{
				Reason: s.Bury.Reason, Detail: s.Bury.Detail, Subscription: s.Subscription.Name.String(),
				Origin: d.Origin, Attempts: d.Attempt, FirstFailure: d.FirstFailure, Time: time.Now(),
			}})
			return
		}
		wait := s.RetryAfter.Wish
		if wait <= 0 {
			wait = s.Subscription.Backoff.Delay(d.Attempt)
		}
		next.attempt, next.due = d.Attempt+1, time.Now().Add(wait)
		f.part.again = append(f.part.again, &next)
	})
}

func (f *flow) settle(d *broker.Delivery, then func(*copyOf)) error {
	b := f.driver.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	c, err := f.settled(d)
	if err != nil {
		return err
	}
	then(c)
	b.tell()
	return nil
}

// CountLetters implements broker.Letters.
func (d *Driver) CountLetters(_ context.Context, s *mesh.Subscription) (broker.LetterCount, error) {
	d.broker.mu.Lock()
	defer d.broker.mu.Unlock()
	g, err := d.broker.group(s, "count the dead letters of")
	if err != nil {
		return broker.LetterCount{}, err
	}
	return broker.LetterCount{Place: s.DeadLetterQueue, Letters: len(g.letters)}, nil
}

// ReadLetters implements broker.Letters.
func (d *Driver) ReadLetters(_ context.Context, s *mesh.Subscription, r broker.Reading, visit broker.Visitor) error {
	d.broker.mu.Lock()
	g, err := d.broker.group(s, "read the dead letters of")
	var letters []*letter
	if err == nil {
		letters = slices.Clone(g.letters)
	}
	d.broker.mu.Unlock()
	for _, l := range letters[:min(len(letters), r.Most)] {
		out := deliver(l.of, s.Queue.Name)
		says := l.says
		out.DeadLetter, out.Settler, out.Handle = &says, &reader{d.broker, g, l}, l.of
		if _, err := visit(out); err != nil {
			return err
		}
	}
	return err
}

// ReviveLetter implements broker.Letters.
func (d *Driver) ReviveLetter(_ context.Context, s *mesh.Subscription, letter *broker.Delivery, toTopic bool) error {
	b := d.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	g, err := b.group(s, "redrive a dead letter of")
	if err != nil {
		return err
	}
	dead, _ := letter.Handle.(*copyOf)
	revived := *dead.record
	revived.message.Republished = true
	if toTopic {
		b.logs[revived.at].add(&revived)
	} else {
		g.parts[g.partOf(&revived)].again = append(g.parts[g.partOf(&revived)].again, &copyOf{record: &revived, offset: dead.offset, attempt: 1, repeated: true})
	}
	b.tell()
	return nil
}

// reader settles dead letters that are read.
type reader struct {
	broker *Broker
	group  *group
	letter *letter
}

// Ack implements broker.Settler.
func (r *reader) Ack(*broker.Delivery) error {
	r.broker.mu.Lock()
	defer r.broker.mu.Unlock()
	i := slices.Index(r.group.letters, r.letter)
	if i < 0 {
		return broker.ErrStale
	}
	r.group.letters = slices.Delete(r.group.letters, i, i+1)
	return nil
}

// Return implements broker.Settler. The dead letter never left its place.
func (*reader) Return(*broker.Delivery) error { return nil }

// Settle implements broker.Settler.
func (*reader) Settle(context.Context, *broker.Delivery, broker.Settlement) error {
	return &broker.Error{Kind: broker.Invalid, Op: "settle a dead letter", Err: errors.New("a dead letter can only be removed")}
}
