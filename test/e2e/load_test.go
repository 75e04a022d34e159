package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/internal/product"
)

const (
	publishers  = 8
	repeatAfter = 20 * time.Millisecond
	attemptTime = 5 * time.Second // of one publish call under load
)

// producer publishes the orders of one series with several goroutines, until it is
// stopped or has confirmed enough.
type producer struct {
	service *service
	topic   string
	series  string
	// count is the number of events; 0 means until stop.
	count int
	// repeat means that a failed publish is repeated with the same id until it is OK.
	repeat bool

	numbers atomic.Int64
	stopped chan struct{}
	running sync.WaitGroup

	mu sync.Mutex
	// confirmed holds, by event id, the topic that the OK names.
	confirmed map[string]string
	// failed holds the last error of the events without an OK.
	failed map[string]error
}

// load starts a producer. It ends with the test.
func (s *service) load(p *producer) *producer {
	p.service, p.stopped = s, make(chan struct{})
	p.confirmed, p.failed = map[string]string{}, map[string]error{}
	for range publishers {
		p.running.Go(p.run)
	}
	s.rig.Cleanup(p.stop)
	return p
}

// stop ends the load and waits for outstanding answers. It is idempotent.
func (p *producer) stop() {
	p.mu.Lock()
	select {
	case <-p.stopped:
	default:
		close(p.stopped)
	}
	p.mu.Unlock()
	p.running.Wait()
}

func (p *producer) run() {
	for {
		n := int(p.numbers.Add(1)) - 1
		if p.count > 0 && n >= p.count {
			return
		}
		event := order(id(p.series, n))
		for !p.place(event) {
			if !p.repeat {
				break
			}
		}
		select {
		case <-p.stopped:
			return
		default:
		}
	}
}

// place publishes event once. It returns true when the event needs no other call.
func (p *producer) place(event *event) bool {
	ctx, cancel := context.WithTimeout(context.Background(), attemptTime)
	defer cancel()
	answer, err := p.service.Publish(ctx, &eventsv1.PublishRequest{Topic: p.topic, Event: event})
	p.mu.Lock()
	if err == nil {
		p.confirmed[event.GetId()] = answer.GetTopic()
		delete(p.failed, event.GetId())
	} else {
		p.failed[event.GetId()] = err
	}
	p.mu.Unlock()
	if err == nil {
		return true
	}
	select {
	case <-time.After(repeatAfter): // the pause also limits the rate while nobody answers
		return false
	case <-p.stopped:
		return true
	}
}

// oks is the set of events with an OK.
func (p *producer) oks() map[string]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[string]bool, len(p.confirmed))
	for id := range p.confirmed {
		out[id] = true
	}
	return out
}

// topics counts the OKs by the topic they name.
func (p *producer) topics() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]int{}
	for _, topic := range p.confirmed {
		out[topic]++
	}
	return out
}

// await waits until n more events have an OK.
func (p *producer) await(n int) {
	p.service.rig.Helper()
	goal := len(p.oks()) + n
	product.Eventually(p.service.rig, fmt.Sprintf("%d events are confirmed", goal), func() error {
		if have := len(p.oks()); have < goal {
			return fmt.Errorf("%d are", have)
		}
		return nil
	})
}

// wait waits until count events have an OK.
func (p *producer) wait() {
	p.service.rig.Helper()
	p.await(p.count - len(p.oks()))
	p.stop()
}

// consumer acknowledges all deliveries of a subscription. It subscribes again when the
// stream ends.
type consumer struct {
	service      *service
	subscription string
	cancel       context.CancelFunc
	running      sync.WaitGroup

	mu  sync.Mutex
	got map[string]int // deliveries by event id
	// silent counts repeated deliveries without the redelivered flag.
	silent  int
	streams int // number of streams opened
}

// consume starts a consumer and waits until it has subscribed. It ends with the test.
func (s *service) consume(subscription string) *consumer {
	s.rig.Helper()
	c := &consumer{service: s, subscription: subscription, got: map[string]int{}}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.running.Go(func() { c.run(ctx) })
	s.rig.Cleanup(c.stop)
	product.Eventually(s.rig, "subscribed to "+subscription, func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.streams == 0 {
			return fmt.Errorf("no stream yet")
		}
		return nil
	})
	return c
}

func (c *consumer) stop() {
	c.cancel()
	c.running.Wait()
}

func (c *consumer) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := c.receive(ctx)
		switch status.Code(err) {
		case codes.Unavailable, codes.Canceled, codes.DeadlineExceeded:
		default:
			c.service.rig.Errorf("stream of %s ended: %v", c.subscription, err)
			return
		}
		select {
		case <-time.After(repeatAfter):
		case <-ctx.Done():
		}
	}
}

func (c *consumer) receive(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.service.Subscribe(ctx)
	if err != nil {
		return err
	}
	_ = stream.Send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Init{Init: &eventsv1.SubscribeInit{
		Subscription: c.subscription, InitialCredit: 1 << 20,
	}}}) // Recv returns its error
	for {
		message, err := stream.Recv()
		if err != nil {
			return err
		}
		if message.GetReady() != nil {
			c.mu.Lock()
			c.streams++
			c.mu.Unlock()
		}
		settle := &eventsv1.SubscribeSettle{}
		for _, d := range message.GetDeliveries().GetDeliveries() {
			c.note(d)
			settle.Settlements = append(settle.Settlements, &eventsv1.Settlement{Token: d.GetToken(), Outcome: eventsv1.Outcome_OUTCOME_ACK})
		}
		if len(settle.Settlements) > 0 {
			_ = stream.Send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Settle{Settle: settle}})
		}
	}
}

func (c *consumer) note(d *eventsv1.Delivery) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := d.GetEvent().GetId()
	if c.got[id]++; c.got[id] > 1 && !d.GetRedelivered() {
		c.silent++
	}
}

// ids is the set of received events.
func (c *consumer) ids() map[string]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[string]bool, len(c.got))
	for id := range c.got {
		out[id] = true
	}
	return out
}

// repeats counts the deliveries after the first one of each event, and those of them
// without the redelivered flag.
func (c *consumer) repeats() (all, silent int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.got {
		all += n - 1
	}
	return all, c.silent
}

// wantAll waits until the consumers together have received every event of want.
func (r *rig) wantAll(want map[string]bool, consumers ...*consumer) {
	r.Helper()
	product.Eventually(r, fmt.Sprintf("all %d events are delivered", len(want)), func() error {
		missing := maps.Clone(want)
		for _, c := range consumers {
			for id := range c.ids() {
				delete(missing, id)
			}
		}
		if len(missing) > 0 {
			names := slices.Sorted(maps.Keys(missing))
			return fmt.Errorf("%d are missing, the first %s", len(names), names[0])
		}
		return nil
	})
}
