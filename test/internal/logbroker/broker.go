package logbroker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
)

// Broker holds the logs. Its zero value cannot be used; call New. It is safe for
// concurrent use.
type Broker struct {
	epochs atomic.Uint64

	mu     sync.Mutex
	logs   map[string]*log                // guarded by mu; by the topic's name on the broker
	groups map[string]*group              // guarded by mu; by the subscription's name on the broker
	news   chan struct{}                  // guarded by mu; closed at the next change
	flows  map[*Driver]map[*flow]struct{} // guarded by mu
}

// log holds a topic's records.
type log struct {
	topic   mesh.Name
	records []*record
}

// record is one published message.
type record struct {
	message broker.Message
	raw     []byte // body of a message that is no event
	at      string // name of the log
}

// group is the state of a subscription.
type group struct {
	sources []*source
	parts   []*part // one for each partition, or a single one
	letters []*letter
	members int
}

// source is a range of a log that a group reads.
type source struct {
	log  *log
	end  int // exclusive end of the range; -1 for the group's own log, which has none
	next []int
}

// part holds the records that are to be delivered again, and the receiver of an ordered
// group.
type part struct {
	name   string
	again  []*copyOf // in the order of their delivery
	holder *flow     // the receiver, in an ordered group
}

// copyOf is the copy of a record that a group delivers.
type copyOf struct {
	record   *record
	offset   int
	attempt  uint32
	returned bool // it was delivered before
	repeated bool
	failed   time.Time
	crashes  uint32
	due      time.Time
}

type letter struct {
	of   *copyOf
	says broker.DeadLetter
}

// New makes an empty broker.
func New() *Broker {
	return &Broker{logs: map[string]*log{}, groups: map[string]*group{}, news: make(chan struct{}), flows: map[*Driver]map[*flow]struct{}{}}
}

// Append adds a message that is no event to a topic's log.
func (b *Broker) Append(to *mesh.Destination, body []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.logs[to.Exchange.Name].add(&record{raw: body, at: to.Exchange.Name})
	b.tell()
}

// The methods below are called with mu held.

func (b *Broker) tell() {
	close(b.news)
	b.news = make(chan struct{})
}

func (l *log) add(r *record) { l.records = append(l.records, r) }

func (b *Broker) log(name string, topic mesh.Name) *log {
	l := b.logs[name]
	if l == nil {
		l = &log{topic: topic}
		b.logs[name] = l
	}
	return l
}

// reads returns the groups that read a log's new records.
func (b *Broker) reads(l *log) bool {
	for _, g := range b.groups {
		if slices.ContainsFunc(g.sources, func(s *source) bool { return s.log == l && s.end < 0 }) {
			return true
		}
	}
	return false
}

// partOf is the number of the part that a record belongs to.
func (g *group) partOf(r *record) int {
	if r.message.Partitioned && int(r.message.Partition) < len(g.parts) {
		return int(r.message.Partition)
	}
	return 0
}

// take returns the next copy of a part. When there is none now, c is nil and due is
// when there will be one, or zero when that is unknown.
func (g *group) take(i int, now time.Time) (c *copyOf, due time.Time) {
	p := g.parts[i]
	for n, again := range p.again {
		if !again.due.After(now) {
			p.again = slices.Delete(p.again, n, n+1)
			return again, due
		}
		if due.IsZero() || again.due.Before(due) {
			due = again.due
		}
	}
	for _, s := range g.sources {
		for s.next[i] < len(s.log.records) && (s.end < 0 || s.next[i] < s.end) {
			r := s.log.records[s.next[i]]
			s.next[i]++
			if g.partOf(r) == i && !r.expired(now) {
				return &copyOf{record: r, offset: s.next[i] - 1, attempt: 1, repeated: r.message.Republished}, due
			}
		}
	}
	return nil, due
}

func (r *record) expired(now time.Time) bool {
	return !r.message.Expires.IsZero() && !now.Before(r.message.Expires)
}

// back puts delivered copies back into their place.
func (p *part) back(copies ...*copyOf) {
	for _, c := range copies {
		c.returned = true
	}
	p.again = append(p.again, copies...)
	slices.SortStableFunc(p.again, func(a, b *copyOf) int { return cmp.Compare(a.offset, b.offset) })
}

func (b *Broker) group(s *mesh.Subscription, op string) (*group, error) {
	if g := b.groups[s.Queue.Name]; g != nil {
		return g, nil
	}
	return nil, &broker.Error{Kind: broker.NotFound, Op: op + " subscription " + s.Name.String(), Err: errors.New("it has no place in a log; declare it")}
}

func partNames(s *mesh.Subscription) []string {
	if s.Ordering != mesh.PerKey {
		return []string{s.Queue.Name}
	}
	names := make([]string, max(s.Partitions.Count, 1))
	for i := range names {
		names[i] = s.Queue.Name + "/" + strconv.Itoa(i)
	}
	return names
}

// Driver is a client of a Broker. It implements broker.Driver, broker.KeyOrder and
// broker.Letters.
type Driver struct {
	broker *Broker
	up     atomic.Bool
}

// Driver makes another client.
func (b *Broker) Driver() *Driver { return &Driver{broker: b} }

// Run implements broker.Runner.
func (d *Driver) Run(ctx context.Context) error {
	d.up.Store(true)
	<-ctx.Done()
	d.up.Store(false)
	d.Interrupt()
	return nil
}

// State implements broker.Runner.
func (d *Driver) State() broker.State {
	return broker.State{Publishing: d.up.Load(), Consuming: d.up.Load(), Server: "log 1.0"}
}

// Same implements broker.Declarer.
func (*Driver) Same(x, y broker.Object) bool {
	if (x.Topic == nil) != (y.Topic == nil) || x.Policy != y.Policy {
		return false
	}
	if x.Topic != nil {
		return x.Topic.Exchange.Name == y.Topic.Exchange.Name
	}
	a, b := x.Subscription, y.Subscription
	return a.Exchange.Name == b.Exchange.Name && slices.Equal(partNames(a), partNames(b))
}

// Ensure implements broker.Declarer. A group begins at the end of its log.
func (d *Driver) Ensure(_ context.Context, o broker.Object) error {
	b := d.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	switch o.Policy {
	case mesh.Ignore:
		return nil
	case mesh.Verify:
		if s := o.Subscription; s != nil {
			_, err := b.group(s, "verify")
			return err
		}
		if b.logs[o.Topic.Exchange.Name] == nil {
			return &broker.Error{Kind: broker.NotFound, Op: "verify topic " + o.Topic.Topic.String(), Err: errors.New("it has no log; declare it")}
		}
		return nil
	}
	if o.Topic != nil {
		b.log(o.Topic.Exchange.Name, o.Topic.Topic)
		return nil
	}
	s := o.Subscription
	g := b.groups[s.Queue.Name]
	if g == nil {
		g = &group{}
		for _, name := range partNames(s) {
			g.parts = append(g.parts, &part{name: name})
		}
		b.groups[s.Queue.Name] = g
	}
	if len(g.parts) != len(partNames(s)) {
		return &broker.Error{Kind: broker.Conflict, Op: "declare subscription " + s.Name.String(), Err: fmt.Errorf("it has %d parts", len(g.parts))}
	}
	l := b.log(s.Exchange.Name, s.Topic)
	if !slices.ContainsFunc(g.sources, func(have *source) bool { return have.log == l && have.end < 0 }) {
		next := make([]int, len(g.parts))
		for i := range next {
			next[i] = len(l.records)
		}
		g.sources = append(g.sources, &source{log: l, end: -1, next: next})
	}
	return nil
}

// Keep implements broker.Declarer. A group reads its own log, and an earlier one up to
// the point where it left it.
func (d *Driver) Keep(_ context.Context, objects []broker.Object) error {
	b := d.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, o := range objects {
		if o.Subscription == nil || o.Policy != mesh.Manage || b.groups[o.Subscription.Queue.Name] == nil {
			continue
		}
		for _, s := range b.groups[o.Subscription.Queue.Name].sources {
			if s.log != b.logs[o.Subscription.Exchange.Name] && s.end < 0 {
				s.end = len(s.log.records)
			}
		}
	}
	return nil
}

// Publish implements broker.Publisher: a message in the log is confirmed.
func (d *Driver) Publish(ctx context.Context, batch []*broker.Message, told broker.Told) {
	from := 0 // where the messages begin that nobody has been told of yet
	for i, m := range batch {
		if err := d.append(ctx, m); err != nil {
			if from < i {
				told(from, i, nil)
			}
			told(i, i+1, err)
			from = i + 1
		}
	}
	if from < len(batch) {
		told(from, len(batch), nil)
	}
}

func (d *Driver) append(ctx context.Context, m *broker.Message) error {
	b := d.broker
	failed := func(kind broker.Kind, outcome broker.Outcome) error {
		return &broker.Error{Kind: kind, Outcome: outcome, Op: "publish to topic " + m.To.Topic.String(), Err: context.Cause(ctx)}
	}
	switch {
	case ctx.Err() != nil:
		return failed(broker.WindowFull, broker.NotSent)
	case !d.up.Load():
		return failed(broker.Unavailable, broker.NotSent)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.logs[m.To.Exchange.Name]
	switch {
	case l == nil:
		return failed(broker.NotFound, broker.Failed)
	case m.To.Mandatory && !b.reads(l):
		return failed(broker.Unroutable, broker.Failed)
	}
	l.add(&record{message: *m, at: m.To.Exchange.Name})
	b.tell()
	return nil
}

// Parts implements broker.KeyOrder.
func (*Driver) Parts(s *mesh.Subscription) []string { return partNames(s) }

// Join implements broker.KeyOrder.
func (d *Driver) Join(ctx context.Context, s *mesh.Subscription, _ string) error {
	count := func(n int) error {
		d.broker.mu.Lock()
		defer d.broker.mu.Unlock()
		g, err := d.broker.group(s, "join")
		if err == nil {
			g.members += n
		}
		return err
	}
	if err := count(1); err != nil {
		return err
	}
	<-ctx.Done()
	return count(-1)
}

// Members implements broker.KeyOrder.
func (d *Driver) Members(_ context.Context, s *mesh.Subscription) (int, error) {
	d.broker.mu.Lock()
	defer d.broker.mu.Unlock()
	g, err := d.broker.group(s, "count the members of")
	if err != nil {
		return 0, err
	}
	return g.members, nil
}
