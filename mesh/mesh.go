// Package mesh is the resolved configuration that a sidecar runs on, as plain Go.
//
// The control plane builds it from declared kinds. xds/wire turns it into Envoy
// resources and back, and the proxy compiles it. A value that is here has every
// default filled in and every reference resolved. Package mesh is a leaf: it imports
// the standard library only. Values are immutable once built, and goroutines share
// them freely.
package mesh

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Name is a namespaced name.
type Name struct {
	Namespace string
	Name      string
}

// String returns "namespace/name".
func (n Name) String() string { return n.Namespace + "/" + n.Name }

// Compare orders names by namespace, then by name; it is negative when n comes first, and
// 0 only when they are equal.
func (n Name) Compare(m Name) int {
	return cmp.Or(cmp.Compare(n.Namespace, m.Namespace), cmp.Compare(n.Name, m.Name))
}

// Sorted returns the names that a map has, in the order of Compare.
func Sorted[V any](of map[Name]V) []Name { return slices.SortedFunc(maps.Keys(of), Name.Compare) }

// ParseName reads "name" or "namespace/name"; the first form is in namespace ns. A
// namespace is an RFC 1123 label and a name an RFC 1123 subdomain, as in the kinds
// (api/v1alpha1). The error quotes only the start of s, because a caller may send any
// text.
func ParseName(s, ns string) (Name, error) {
	n := Name{Namespace: ns, Name: s}
	if before, after, found := strings.Cut(s, "/"); found {
		n = Name{Namespace: before, Name: after}
	}
	if !isLabel(n.Namespace) || !isSubdomain(n.Name) {
		return Name{}, fmt.Errorf("name %.80q: want \"name\" or \"namespace/name\", %s", s, NameRule)
	}
	return n, nil
}

// Config is everything a sidecar runs on. A nil map is an empty one.
type Config struct {
	// Version is a hash over what the configuration was made of; "" when unknown.
	Version       string
	Topics        map[Name]*Topic
	Subscriptions map[Name]*Subscription
	Brokers       map[Name]*Broker
}

// BrokerType says which driver serves a broker.
type BrokerType int

// The broker types.
const (
	RabbitMQ BrokerType = iota + 1
	Memory
)

// String returns the spelling of the EventBroker kind.
func (t BrokerType) String() string {
	switch t {
	case RabbitMQ:
		return "RabbitMQ"
	case Memory:
		return "Memory"
	default:
		return fmt.Sprintf("BrokerType(%d)", int(t))
	}
}

// TopologyPolicy says who declares exchanges and queues.
type TopologyPolicy int

// The topology policies.
const (
	Manage TopologyPolicy = iota + 1
	Verify
	Ignore
)

// String returns the spelling of the EventBroker kind.
func (p TopologyPolicy) String() string {
	switch p {
	case Manage:
		return "Manage"
	case Verify:
		return "Verify"
	case Ignore:
		return "Ignore"
	default:
		return fmt.Sprintf("TopologyPolicy(%d)", int(p))
	}
}

// Broker is one RabbitMQ cluster and vhost, or the in-process broker.
type Broker struct {
	Name        Name
	Type        BrokerType
	VHost       string
	Credentials string // name of a directory on the sidecar's side; "" means guest/guest
	Topology    TopologyPolicy
	Heartbeat   time.Duration
	Nodes       []Node // in order of priority, then declaration; empty for Memory
}

// Node is one endpoint of a broker.
type Node struct {
	Address  string // host:port
	Zone     string
	Priority uint32 // 0 is tried first; no gaps
}

// Exchange is an AMQP exchange.
type Exchange struct {
	Name string
	Type string // topic, direct, fanout, headers
}

// Topic is a name services publish to, with its rules.
type Topic struct {
	Name Name
	// Rules are tried in order; the first that matches wins. The last one always
	// matches: it is the topic itself when no declared rule does.
	Rules []Rule
}

// Rule says what happens to the events its filters match.
type Rule struct {
	// Name is "route/rule", or "" for the topic's own default rule.
	Name     string
	Filters  []Filter // all must match; none matches everything
	Backends []Backend
	Timeout  time.Duration // total deadline of a publish; 0 means the caller's alone
	Retry    Retry
}

// Backend is a weighted destination.
type Backend struct {
	Destination Destination
	Weight      uint32 // relative to the rule's others; the sum is at least 1
}

// Destination is a backend topic: where on which broker its events are put.
type Destination struct {
	Topic          Name
	Broker         Name
	Exchange       Exchange
	RoutingKey     Template
	Mandatory      bool
	Persistent     bool
	ConfirmTimeout time.Duration
	TTL            time.Duration // message expiration; 0 means none
	Priority       uint8         // AMQP priority, 0-9
	MaxEventBytes  uint32        // largest payload
	Partitions     Partitions    // the zero value means none
	Headers        HeaderList    // what publishers may set beside the event
}

// Partitions split a topic by a key. An event's partition is a hash of the value
// of the attribute Key modulo Count, whatever nodes and queues there are.
type Partitions struct {
	Count uint32 // 0 means that the topic has none
	Key   string // attribute name
}

// RetryOn is one kind of failure a retry policy covers.
type RetryOn int

// The retryable failures, by the names of EventRoute's retry.on.
const (
	OnNack RetryOn = iota + 1
	OnConfirmTimeout
	OnConnectFailure
	OnChannelClosed
)

var retryOnNames = [...]string{OnNack: "nack", OnConfirmTimeout: "confirm-timeout", OnConnectFailure: "connect-failure", OnChannelClosed: "channel-closed"}

// String returns the spelling of EventRoute's retry.on.
func (r RetryOn) String() string {
	if r >= OnNack && int(r) < len(retryOnNames) {
		return retryOnNames[r]
	}
	return fmt.Sprintf("RetryOn(%d)", int(r))
}

// ParseRetryOn is the inverse of String.
func ParseRetryOn(s string) (RetryOn, error) {
	for r := OnNack; int(r) < len(retryOnNames); r++ {
		if retryOnNames[r] == s {
			return r, nil
		}
	}
	return 0, fmt.Errorf("retry condition %q: want one of %s", s, strings.Join(retryOnNames[1:], ", "))
}

// Retry is the retry policy of a publish.
type Retry struct {
	Attempts      uint32 // all tries, the first included; at least 1
	On            []RetryOn
	PerTryTimeout time.Duration // 0 means the destination's confirm timeout
	Backoff       Backoff
}

// Backoff is exponential: Base, doubling, at most Max.
type Backoff struct {
	Base time.Duration
	Max  time.Duration
}

// Delay returns the delay before attempt n+1, n >= 1 being the attempts made.
func (b Backoff) Delay(n uint32) time.Duration {
	d := b.Base
	for ; n > 1; n-- {
		if d > b.Max/2 {
			return b.Max // twice as much may be more than a Duration holds
		}
		d *= 2
	}
	return min(d, b.Max)
}

// Subscription is a workload's durable interest in a topic.
type Subscription struct {
	Name            Name
	Topic           Name
	Broker          Name
	Exchange        Exchange
	Queue           Queue
	Filters         []Filter // all must match; none matches everything
	AckDeadline     time.Duration
	Attempts        uint32 // all deliveries, the first included; at least 1
	Backoff         Backoff
	Strategy        RetryStrategy
	DeadLetterQueue string
	PushPort        uint32 // loopback port of the service; 0 means it pulls by stream
	// MaxDecoded is up to how many bytes data with a content encoding is decoded for the
	// service; 0 means that it is handed on as it is.
	MaxDecoded uint32

	Ordering Ordering
	// Partitions are the topic's when Ordering is PerKey, and the zero value else.
	Partitions Partitions
	// MaxElapsed bounds how long an event's key waits for its retries before the
	// event is dead-lettered. PerKey only.
	MaxElapsed time.Duration
	// KeyPolicy says what happens to a key after one of its events was dead-lettered.
	// PerKey only.
	KeyPolicy KeyPolicy
	// Dedupe suppresses repeats of an event; the zero value suppresses none.
	Dedupe Dedupe
}

// Ordering is the order of a subscription's deliveries.
type Ordering int

// The orderings.
const (
	Unordered Ordering = iota
	PerKey             // one queue a partition; an event waits until those before it of its key are settled
)

// String returns the spelling of the EventSubscription kind.
func (o Ordering) String() string {
	switch o {
	case Unordered:
		return "None"
	case PerKey:
		return "PerKey"
	default:
		return fmt.Sprintf("Ordering(%d)", int(o))
	}
}

// KeyPolicy says what happens to a key after one of its events was dead-lettered.
type KeyPolicy int

// The key policies.
const (
	Continue KeyPolicy = iota // the next event of the key is delivered
	Hold                      // the later events of the key are dead-lettered too, in order, until it is released
)

// String returns the spelling of the EventSubscription kind.
func (p KeyPolicy) String() string {
	switch p {
	case Continue:
		return "Continue"
	case Hold:
		return "Hold"
	default:
		return fmt.Sprintf("KeyPolicy(%d)", int(p))
	}
}

// RetryStrategy says how an unordered delivery waits for its next attempt.
type RetryStrategy int

// The retry strategies.
const (
	DelayQueues RetryStrategy = iota // in a queue for each delay, on every RabbitMQ
	BrokerDelay                      // in its own queue, by RabbitMQ's delayed retry (4.3 and later)
)

// String returns the spelling of the EventSubscription kind.
func (s RetryStrategy) String() string {
	switch s {
	case DelayQueues:
		return "DelayQueues"
	case BrokerDelay:
		return "BrokerDelay"
	default:
		return fmt.Sprintf("RetryStrategy(%d)", int(s))
	}
}

// Dedupe bounds the memory of events that a service has acknowledged.
type Dedupe struct {
	Window     time.Duration // how long an event is remembered; 0 means no deduplication
	MaxEntries uint32        // how many are; the oldest are forgotten first
}

// Queue is a subscription's queue.
type Queue struct {
	Name     string
	Type     string // quorum, classic
	Prefetch uint32 // at least 1
	// PrefetchBytes bounds the data of what is prefetched: prefetch is lowered so
	// that as many of the topic's largest events fit. 0 means no bound.
	PrefetchBytes uint64
	// MaxEventBytes is the topic's largest payload, when PrefetchBytes is a bound.
	MaxEventBytes uint32
}

// MaxPartitionedQueue is the most bytes the name of a queue with partitions may
// have: the names made from it, of queues and exchanges, must fit AMQP's 255.
const MaxPartitionedQueue = 220

// Partition returns the name of the queue that stands for one partition. A
// subscription that is ordered by key has such queues and none named q.Name.
func (q *Queue) Partition(i uint32) string {
	return q.Name + ".p" + strconv.FormatUint(uint64(i), 10)
}

// Members returns the name of a queue that only counts consumers: nothing is published
// to it, and every consumer of the partitions consumes from it too.
func (q *Queue) Members() string { return q.Name + ".members" }
