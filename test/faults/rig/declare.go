package rig

import (
	"fmt"
	"strings"
	"time"
)

// The objects of a run. Every run has a namespace and a vhost of its own, so that an
// earlier run leaves nothing in it.
const (
	Orders  = "orders"
	Billing = "billing" // the unordered subscription
	Ledger  = "ledger"  // the ordered one
	Inbox   = "inbox"   // a topic of its own, with one unordered subscription that has a classic queue

	// A topic whose events live for BriefLife. It has an unordered subscription with a
	// classic queue and an ordered one.
	Passing  = "passing"
	fleeting = "fleeting"
	chain    = "chain"
)

// Partitions is the number of partitions of every topic with an ordered subscription.
const Partitions = 4

// Declared holds the settings of the declared objects that a scenario may change.
type Declared struct {
	nodes        []string // addresses
	vhost        string
	Topology     string   // "" means Manage
	Topic        []string // further lines of the topic's spec
	Publish      string   // settings of the topic's publish
	Subscription []string // further lines of the spec of both subscriptions
	Retry        string   // in the spec of both subscriptions
	BrokerDelay  bool     // retries of the unordered subscription wait in its own queue, if the broker can do that
	Route        string   // a whole document
	Unordered    bool     // declare the unordered subscription only
	Classic      bool     // declare inbox, too
	Brief        bool     // declare the passing topic and its subscriptions, too
	More         string   // further documents
}

func (d Declared) yaml(namespace string) string {
	var b strings.Builder
	var nodes []string
	for _, n := range d.nodes {
		nodes = append(nodes, fmt.Sprintf("{address: %q}", n))
	}
	object := func(kind, name string, spec ...string) {
		fmt.Fprintf(&b, "apiVersion: warrenmesh.io/v1alpha1\nkind: %s\nmetadata: {name: %s, namespace: %s}\nspec:\n", kind, name, namespace)
		for _, line := range spec {
			if line != "" {
				fmt.Fprintf(&b, "  %s\n", line)
			}
		}
		b.WriteString("---\n")
	}
	broker := []string{fmt.Sprintf("vhost: %q", d.vhost), "nodes: [" + strings.Join(nodes, ", ") + "]", "credentials: {name: main}"}
	if d.Topology != "" {
		broker = append(broker, "topology: "+d.Topology)
	}
	object("EventBroker", "main", broker...)
	topic := append([]string{"brokerRef: {name: main}", "exchange: {name: " + Orders + "}"}, d.Topic...)
	if d.Publish != "" {
		topic = append(topic, "publish: {"+d.Publish+"}")
	}
	if !d.Unordered {
		topic = append(topic, fmt.Sprintf("partitions: {count: %d}", Partitions))
	}
	object("EventTopic", Orders, topic...)
	if d.Classic {
		object("EventTopic", Inbox, "brokerRef: {name: main}", "exchange: {name: "+Inbox+"}")
	}
	if d.Brief {
		object("EventTopic", Passing, "brokerRef: {name: main}", "exchange: {name: "+Passing+"}", fmt.Sprintf("publish: {ttl: %v}", BriefLife), fmt.Sprintf("partitions: {count: %d}", Partitions))
	}
	for _, s := range d.Subscriptions() {
		spec := append([]string{"topicRef: {name: " + TopicOf(s) + "}", "selector: {matchLabels: {app: " + Billing + "}}"}, d.Subscription...)
		if retry := d.retryOf(s); retry != "" {
			spec = append(spec, "retry: {"+retry+"}")
		}
		switch s {
		case Ledger, chain:
			spec = append(spec, "ordering: PerKey")
		case Inbox, fleeting:
			spec = classicQueue(spec)
		}
		object("EventSubscription", s, spec...)
	}
	b.WriteString(d.Route + d.More)
	return b.String()
}

// retryOf is the retry policy of a subscription; "" means the default.
func (d Declared) retryOf(subscription string) string {
	var settings []string
	if d.BrokerDelay && subscription == Billing {
		settings = append(settings, "strategy: BrokerDelay")
	}
	if d.Retry != "" {
		settings = append(settings, d.Retry)
	}
	return strings.Join(settings, ", ")
}

// classicQueue changes a subscription's spec to a classic queue.
func classicQueue(spec []string) []string {
	for i, line := range spec {
		if settings, ok := strings.CutPrefix(line, "queue: {"); ok {
			spec[i] = "queue: {type: classic, " + settings
			return spec
		}
	}
	return append(spec, "queue: {type: classic}")
}

// Subscriptions lists the names of the declared subscriptions.
func (d Declared) Subscriptions() []string {
	out := []string{Billing}
	if !d.Unordered {
		out = append(out, Ledger)
	}
	if d.Classic {
		out = append(out, Inbox)
	}
	if d.Brief {
		out = append(out, fleeting, chain)
	}
	return out
}

// TopicOf is the topic of a declared subscription.
func TopicOf(subscription string) string {
	switch subscription {
	case Inbox:
		return Inbox
	case fleeting, chain:
		return Passing
	default:
		return Orders
	}
}

// delaysRetries reports whether the broker can delay a retry in its own queue. RabbitMQ
// 4.3 and later can.
func (w *World) delaysRetries() bool {
	w.Helper()
	const since = "4.3"
	return ByVersion(strings.Trim(w.Call("rabbit_misc:version()."), `"`), since) <= 0
}

// QueueName is the name of a subscription's queue on the broker.
func (w *World) QueueName(subscription string) string { return w.Namespace + "." + subscription }

// BriefLife is the life of an event of the passing topic. It ends between the second
// attempt and the third.
const BriefLife = 600 * time.Millisecond
