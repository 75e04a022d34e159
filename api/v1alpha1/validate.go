package v1alpha1

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"

	"github.com/warrenmesh/warren/mesh"
)

// Bounds of values.
const (
	// MaxEventBytes is the upper bound of publish.maxEventBytes: RabbitMQ's default
	// limit of a message.
	MaxEventBytes = 16 << 20
	// MinAckDeadline and MaxAckDeadline bound ackDeadline. The upper bound stays well
	// below RabbitMQ's consumer_timeout of 30 minutes.
	MinAckDeadline = time.Second
	MaxAckDeadline = 15 * time.Minute
	// MaxAttempts bounds the attempts of every retry policy.
	MaxAttempts = 100
	// MaxWeight bounds one weight, as in the Gateway API.
	MaxWeight = 1_000_000
	// MaxPort is the largest TCP port.
	MaxPort = 65535
	// MaxPrefetch is the largest prefetch that AMQP's basic.qos can carry.
	MaxPrefetch = 65535
	// MaxPartitions bounds partitions.count: each ordered subscription has a queue for
	// each partition.
	MaxPartitions = 1024
	// MaxHeaders bounds the number of entries of publish.headers.
	MaxHeaders = 100
	// MinPrefetchBytes and MaxPrefetchBytes bound queue.prefetchBytes.
	MinPrefetchBytes = 1 << 10
	MaxPrefetchBytes = 1 << 40
	// MinMaxElapsed and MaxMaxElapsed bound retry.maxElapsed. An event that holds up
	// its key is an unsettled delivery, which RabbitMQ takes back after its
	// consumer_timeout.
	MinMaxElapsed = time.Second
	MaxMaxElapsed = 10 * time.Minute
	// MinDedupeWindow and MaxDedupeWindow bound dedupe.window, MaxDedupeEntries
	// bounds dedupe.maxEntries.
	MinDedupeWindow  = time.Second
	MaxDedupeWindow  = 24 * time.Hour
	MaxDedupeEntries = 10_000_000

	maxPriority     = 9
	maxNodePriority = 128
	maxHeartbeat    = 10 * time.Minute
	// maxTTL in milliseconds fits into the 32 bits that RabbitMQ has for it.
	maxTTL = 49 * 24 * time.Hour
)

// Validate returns all errors of one object that can be found without looking at other
// objects; nil when there are none. The object must have been through Default. A
// feature of a later version is always refused, with a message that contains "not
// supported yet".
func Validate(obj Object) []FieldError {
	c := &checker{}
	c.meta(obj)
	switch o := obj.(type) {
	case *EventBroker:
		c.broker(&o.Spec, "spec")
	case *EventTopic:
		c.topic(&o.Spec, "spec")
	case *EventRoute:
		c.route(o, "spec")
	case *EventSubscription:
		c.subscription(&o.Spec, "spec")
	case *EventPolicy:
		c.unsupported("kind", "kind EventPolicy")
	}
	return c.errs
}

func (c *checker) meta(obj Object) {
	meta := Path("metadata")
	if obj.GetName() == "" {
		c.invalid(meta.Child("name"), "is missing: give the object a name, such as \"orders\"")
	} else {
		c.name(meta.Child("name"), obj.GetName())
	}
	c.namespace(meta.Child("namespace"), obj.GetNamespace())
	// Kubernetes has this limit: a file that passes here is accepted there.
	if err := apivalidation.ValidateAnnotationsSize(obj.GetAnnotations()); err != nil {
		c.invalid(meta.Child("annotations"), "have more than %d KiB together: shorten them, or keep such data elsewhere", apivalidation.TotalAnnotationSizeLimitB>>10)
	}
}

func (c *checker) broker(s *EventBrokerSpec, p Path) {
	c.oneOf(p.Child("type"), s.Type, BrokerRabbitMQ, BrokerMemory)
	c.oneOf(p.Child("topology"), s.Topology, TopologyManage, TopologyVerify, TopologyIgnore)
	if s.TLS != nil {
		c.unsupported(p.Child("tls"), "tls")
	}
	if s.ServiceRef != nil {
		c.unsupported(p.Child("serviceRef"), "serviceRef")
	}
	if s.Type == BrokerMemory {
		c.memoryBroker(s, p)
		return
	}
	if s.Credentials != nil {
		c.name(p.Child("credentials").Child("name"), s.Credentials.Name)
	}
	c.shortString(p.Child("vhost"), s.VHost)
	c.heartbeat(p.Child("heartbeat"), s.Heartbeat)
	if len(s.Nodes) == 0 && s.ServiceRef == nil {
		c.invalid(p.Child("nodes"), "is empty: a broker of type RabbitMQ needs at least one node, such as {address: \"127.0.0.1:5672\"}")
	}
	c.nodes(p.Child("nodes"), s.Nodes)
}

// memoryBroker refuses settings that only a broker on the network has.
func (c *checker) memoryBroker(s *EventBrokerSpec, p Path) {
	refuse := func(field string, set bool) {
		if set {
			c.invalid(p.Child(field), "has no meaning for a broker of type Memory, which lives inside one process: remove it")
		}
	}
	refuse("nodes", len(s.Nodes) > 0)
	refuse("vhost", s.VHost != "")
	refuse("credentials", s.Credentials != nil)
	refuse("heartbeat", s.Heartbeat != nil)
	if s.Topology == TopologyVerify || s.Topology == TopologyIgnore {
		c.invalid(p.Child("topology"), "is %s, but a broker of type Memory lives inside one process, where nobody else can declare anything: remove it", s.Topology)
	}
}

func (c *checker) heartbeat(p Path, d *Duration) {
	if d == nil {
		return
	}
	if d.Duration < time.Second || d.Duration > maxHeartbeat || d.Duration%time.Second != 0 {
		c.invalid(p, "is %s: want whole seconds from 1s to %s", d.Duration, short(maxHeartbeat))
	}
}

func (c *checker) nodes(p Path, nodes []BrokerNode) {
	seen := map[string]int{}
	used := map[int32]bool{}
	for i := range nodes {
		n, np := &nodes[i], p.Index(i)
		if err := checkAddress(n.Address); err != nil {
			c.invalid(np.Child("address"), "%s: want host:port, such as \"rabbit-0:5672\"", err)
		} else if first, dup := seen[n.Address]; dup {
			c.invalid(np.Child("address"), "is %q, as that of nodes[%d] is: name each node once", n.Address, first)
		} else {
			seen[n.Address] = i
		}
		c.name(np.Child("zone"), n.Zone)
		c.between(np.Child("priority"), int64(n.Priority), 0, maxNodePriority)
		used[n.Priority] = true
	}
	for i := range nodes {
		if v := nodes[i].Priority; v > 0 && v <= maxNodePriority && !used[v-1] {
			c.invalid(p.Index(i).Child("priority"), "is %d but no node has priority %d: priorities start at 0 and leave no gap", v, v-1)
			return
		}
	}
}

func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || strings.ContainsFunc(host, notInHost) {
		return fmt.Errorf("is %q", address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("is %q, whose port is not a number from 1 to 65535", address)
	}
	return nil
}

// notInHost tells what no name or address of a host has, and what looks like nothing.
func notInHost(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

func (c *checker) topic(s *EventTopicSpec, p Path) {
	c.ref(p.Child("brokerRef"), s.BrokerRef, KindEventBroker)
	if s.Exchange != nil {
		ep := p.Child("exchange")
		c.amqpName(ep.Child("name"), s.Exchange.Name, "exchange")
		c.oneOf(ep.Child("type"), s.Exchange.Type, exchangeTopic, "direct", "fanout", "headers")
	}
	c.template(p.Child("routingKey"), s.RoutingKey)
	if s.Partitions != nil {
		pp := p.Child("partitions")
		c.between(pp.Child("count"), int64(s.Partitions.Count), 1, MaxPartitions)
		c.attribute(pp.Child("key"), s.Partitions.Key)
	}
	if s.Publish != nil {
		c.publish(s.Publish, p.Child("publish"))
	}
}

func (c *checker) template(p Path, text string) {
	segments, err := mesh.Template(text).Segments()
	if err != nil {
		c.invalid(p, "%s: want text with {attribute} placeholders, such as \"{type}\"", err)
		return
	}
	literal := 0
	for _, s := range segments {
		literal += len(s.Literal)
	}
	if literal > mesh.MaxRoutingKey {
		c.invalid(p, "has %d bytes of literal text: a routing key has at most %d", literal, mesh.MaxRoutingKey)
	}
}

func (c *checker) headers(entries []string, p Path) {
	if len(entries) > MaxHeaders {
		c.invalid(p, "has %d entries: want at most %d", len(entries), MaxHeaders)
		return
	}
	for i, entry := range entries {
		if err := mesh.CheckHeader(entry); err != nil {
			c.invalid(p.Index(i), "%s", err)
		}
	}
}

func (c *checker) publish(s *PublishSettings, p Path) {
	c.positive(p.Child("confirmTimeout"), s.ConfirmTimeout)
	c.between(p.Child("priority"), int64(s.Priority), 0, maxPriority)
	if s.MaxEventBytes != nil {
		c.between(p.Child("maxEventBytes"), int64(*s.MaxEventBytes), 1, MaxEventBytes)
	}
	c.headers(s.Headers, p.Child("headers"))
	if d := s.TTL; d != nil && (d.Duration < time.Millisecond || d.Duration > maxTTL || d.Duration%time.Millisecond != 0) {
		c.invalid(p.Child("ttl"), "is %s: want whole milliseconds from 1ms to %s, or leave it out for no expiration", d.Duration, short(maxTTL))
	}
}
