package v1alpha1

import (
	"time"

	"github.com/warrenmesh/warren/mesh"
)

func (c *checker) subscription(s *EventSubscriptionSpec, p Path) {
	c.ref(p.Child("topicRef"), s.TopicRef, KindEventTopic)
	c.selector(p.Child("selector"), s.Selector)
	c.filters(p.Child("filters"), s.Filters, 1)
	if s.Queue != nil {
		c.queue(s.Queue, p.Child("queue"))
	}
	if s.Queue != nil && s.Retry != nil {
		c.derivedNames(s, p.Child("queue").Child("name"))
	}
	c.oneOf(p.Child("ordering"), s.Ordering, OrderingNone, OrderingPerKey)
	c.oneOf(p.Child("contentEncoding"), s.ContentEncoding, EncodingKeep, EncodingDecode)
	if s.Delivery != nil && s.Delivery.Push != nil {
		c.between(p.Child("delivery").Child("push").Child("port"), int64(s.Delivery.Push.Port), 1, MaxPort)
	}
	c.within(p.Child("ackDeadline"), s.AckDeadline, MinAckDeadline, MaxAckDeadline)
	if s.Retry != nil {
		c.subscriptionRetry(s.Retry, s.Ordering, p.Child("retry"))
		c.waits(s, p.Child("retry").Child("backoff"))
	}
	if s.DeadLetter != nil {
		c.deadLetter(s, p.Child("deadLetter"))
	}
	if s.Dedupe != nil {
		c.dedupe(s.Dedupe, p.Child("dedupe"))
	}
}

func (c *checker) queue(q *Queue, p Path) {
	c.amqpName(p.Child("name"), q.Name, "queue")
	if q.Type != "" {
		c.oneOf(p.Child("type"), q.Type, QueueQuorum, QueueClassic)
	}
	if q.Prefetch != nil {
		c.between(p.Child("prefetch"), int64(*q.Prefetch), 1, MaxPrefetch)
	}
	if q.PrefetchBytes != nil {
		c.between(p.Child("prefetchBytes"), *q.PrefetchBytes, MinPrefetchBytes, MaxPrefetchBytes)
	}
}

// deadSuffix is the suffix that mesh.Queue.DeadLetters adds.
const deadSuffix = ".dead"

// derivedNames refuses a queue name that is too long for the names derived from it.
// Otherwise a sidecar would find out only when it declares or fills those queues.
func (c *checker) derivedNames(s *EventSubscriptionSpec, p Path) {
	q := mesh.Queue{Name: s.Queue.Name}
	if q.Name == "" || len(q.Name) > maxShortString || s.Ordering == OrderingPerKey && len(q.Name) > mesh.MaxPartitionedQueue {
		return // reported already, or checked where the topic's partitions are known
	}
	what, longest := "dead letters", q.DeadLetters()
	for _, d := range delays(s) {
		if name := q.Delay(d); len(name) > len(longest) {
			what, longest = "retries", name
		}
	}
	if len(longest) > maxShortString {
		c.invalid(p, "has %d bytes, and the queue of its %s is named after it, with %q at the end, and AMQP allows %d: want at most %d",
			len(q.Name), what, longest[len(q.Name):], maxShortString, maxShortString-(len(longest)-len(q.Name)))
	}
}

// delays lists the delays of the retry queues; none when the retry policy is invalid.
func delays(s *EventSubscriptionSpec) []time.Duration {
	r := s.Retry
	if s.Ordering != OrderingNone || r.Strategy != RetryDelayQueues || r.Attempts == nil || *r.Attempts < 1 || *r.Attempts > MaxAttempts ||
		r.Backoff == nil || r.Backoff.BaseInterval == nil || r.Backoff.MaxInterval == nil || r.Backoff.BaseInterval.Duration <= 0 {
		return nil
	}
	sub := mesh.Subscription{
		Attempts: uint32(*r.Attempts),
		Backoff:  mesh.Backoff{Base: r.Backoff.BaseInterval.Duration, Max: r.Backoff.MaxInterval.Duration},
	}
	return sub.Delays()
}

// waits refuses delays that no queue of RabbitMQ may have: a sidecar would find out only
// when it declares one.
func (c *checker) waits(s *EventSubscriptionSpec, p Path) {
	all := delays(s)
	if len(all) == 0 || all[len(all)-1] <= maxTTL {
		return
	}
	field := "maxInterval"
	if s.Retry.Backoff.BaseInterval.Duration > maxTTL {
		field = "baseInterval"
	}
	c.invalid(p.Child(field), "makes retries wait %s in a queue: want at most %s", short(all[len(all)-1]), short(maxTTL))
}

func (c *checker) subscriptionRetry(r *SubscriptionRetry, ordering string, p Path) {
	c.attempts(p.Child("attempts"), r.Attempts)
	c.backoff(p.Child("backoff"), r.Backoff)
	c.oneOf(p.Child("strategy"), r.Strategy, RetryDelayQueues, RetryBrokerDelay)
	if r.Strategy == RetryBrokerDelay && ordering == OrderingPerKey {
		c.invalid(p.Child("strategy"), "is BrokerDelay, but with ordering PerKey an event waits in the sidecar, and its key with it: remove it, or set ordering None")
	}
	if r.MaxElapsed != nil && ordering == OrderingNone {
		c.perKeyOnly(p.Child("maxElapsed"))
		return
	}
	c.within(p.Child("maxElapsed"), r.MaxElapsed, MinMaxElapsed, MaxMaxElapsed)
}

func (c *checker) deadLetter(s *EventSubscriptionSpec, p Path) {
	queue := p.Child("queue")
	if s.Queue == nil || s.DeadLetter.Queue != s.Queue.Name+deadSuffix { // otherwise derivedNames has reported it
		c.amqpName(queue, s.DeadLetter.Queue, "queue")
	}
	if s.Queue != nil && s.DeadLetter.Queue == s.Queue.Name {
		c.invalid(queue, "is the subscription's own queue %q: dead letters need another one", s.Queue.Name)
	}
	if s.DeadLetter.KeyPolicy == "" {
		return
	}
	if s.Ordering == OrderingNone {
		c.perKeyOnly(p.Child("keyPolicy"))
		return
	}
	c.oneOf(p.Child("keyPolicy"), s.DeadLetter.KeyPolicy, KeyContinue, KeyHold)
}

// perKeyOnly refuses a field about keys when ordering is None.
func (c *checker) perKeyOnly(p Path) {
	c.invalid(p, "is about events that hold up their key, and without order none does: remove it, or set ordering PerKey")
}

func (c *checker) dedupe(d *Dedupe, p Path) {
	c.within(p.Child("window"), d.Window, MinDedupeWindow, MaxDedupeWindow)
	if d.MaxEntries != nil {
		c.between(p.Child("maxEntries"), int64(*d.MaxEntries), 1, MaxDedupeEntries)
	}
}

func (c *checker) within(p Path, d *Duration, low, high time.Duration) {
	if d != nil && (d.Duration < low || d.Duration > high) {
		c.invalid(p, "is %s: want %s to %s", d.Duration, short(low), short(high))
	}
}
