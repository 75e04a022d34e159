package faults

import (
	"fmt"
	"strings"
)

// The objects of a run. Every run has a namespace and a vhost of its own, so that an
// earlier run leaves nothing in it.
const (
	topicName = "orders"
	billing   = "billing" // the unordered subscription
	ledger    = "ledger"  // the ordered one
	inbox     = "inbox"   // a topic of its own, with one unordered subscription that has a classic queue

	// A topic whose events live for briefLife. It has an unordered subscription with a
	// classic queue and an ordered one.
	passingTopic = "passing"
	fleeting     = "fleeting"
	chain        = "chain"
)

const partitions = 4

// declared holds the settings of the declared objects that a scenario may change.
type declared struct {
	nodes        []string // addresses
	vhost        string
	topology     string   // "" means Manage
	topic        []string // further lines of the topic's spec
	publish      string   // settings of the topic's publish
	subscription []string // further lines of the spec of both subscriptions
	retry        string   // in the spec of both subscriptions
	brokerDelay  bool     // retries of the unordered subscription wait in its own queue, if the broker can do that
	route        string   // a whole document
	unordered    bool     // declare the unordered subscription only
	classic      bool     // declare inbox, too
	brief        bool     // declare the passing topic and its subscriptions, too
	more         string   // further documents
}

func (d declared) yaml(namespace string) string {
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
	if d.topology != "" {
		broker = append(broker, "topology: "+d.topology)
	}
	object("EventBroker", "main", broker...)
	topic := append([]string{"brokerRef: {name: main}", "exchange: {name: " + topicName + "}"}, d.topic...)
	if d.publish != "" {
		topic = append(topic, "publish: {"+d.publish+"}")
	}
	if !d.unordered {
		topic = append(topic, fmt.Sprintf("partitions: {count: %d}", partitions))
	}
	object("EventTopic", topicName, topic...)
	if d.classic {
		object("EventTopic", inbox, "brokerRef: {name: main}", "exchange: {name: "+inbox+"}")
	}
	if d.brief {
		object("EventTopic", passingTopic, "brokerRef: {name: main}", "exchange: {name: "+passingTopic+"}", fmt.Sprintf("publish: {ttl: %v}", briefLife), fmt.Sprintf("partitions: {count: %d}", partitions))
	}
	for _, s := range d.subscriptions() {
		spec := append([]string{"topicRef: {name: " + topicOf(s) + "}", "selector: {matchLabels: {app: " + billing + "}}"}, d.subscription...)
		if retry := d.retryOf(s); retry != "" {
			spec = append(spec, "retry: {"+retry+"}")
		}
		switch s {
		case ledger, chain:
			spec = append(spec, "ordering: PerKey")
		case inbox, fleeting:
			spec = classicQueue(spec)
		}
		object("EventSubscription", s, spec...)
	}
	b.WriteString(d.route + d.more)
	return b.String()
}

// retryOf is the retry policy of a subscription; "" means the default.
func (d declared) retryOf(subscription string) string {
	var settings []string
	if d.brokerDelay && subscription == billing {
		settings = append(settings, "strategy: BrokerDelay")
	}
	if d.retry != "" {
		settings = append(settings, d.retry)
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

// subscriptions lists the names of the declared subscriptions.
func (d declared) subscriptions() []string {
	out := []string{billing}
	if !d.unordered {
		out = append(out, ledger)
	}
	if d.classic {
		out = append(out, inbox)
	}
	if d.brief {
		out = append(out, fleeting, chain)
	}
	return out
}

// topicOf is the topic of a declared subscription.
func topicOf(subscription string) string {
	switch subscription {
	case inbox:
		return inbox
	case fleeting, chain:
		return passingTopic
	default:
		return topicName
	}
}
