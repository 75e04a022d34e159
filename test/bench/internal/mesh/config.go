package mesh

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/test/bench/internal/load"
)

// Names of the declared objects. The label app of a workload is its name.
const (
	topic        = "events"
	subscription = "drain"
	publisher    = load.App
	subscriber   = "subscriber"
	idle         = "idle" // begins the names of objects that no event passes
)

// keys is how many keys the events of a topic with partitions have.
const keys = 1024

// declared is the configuration of the mesh: one topic, one subscription that takes
// everything, and the idle objects. The confirm timeout is very long, so that a slow
// machine never makes an outcome unknown: the event would be published again, and its
// copy would end the run.
func (o *Options) declared(broker amqp.URI) string {
	var out strings.Builder
	o.broker(&out, broker)
	o.topic(&out, topic, o.Name)
	o.subscription(&out, subscription, topic, o.Name)
	o.routes(&out)
	for i := 1; i < o.Topics; i++ {
		name := fmt.Sprintf("%s-%d", idle, i)
		o.topic(&out, name, o.Name+"."+name)
		o.route(&out, name, "- backendRefs: [{name: "+name+"}]")
	}
	if o.Subscriptions > 1 {
		o.topic(&out, idle, o.idleExchange())
	}
	for i := 1; i < o.Subscriptions; i++ {
		o.subscription(&out, fmt.Sprintf("%s-%d", idle, i), idle, o.idleQueue(i))
	}
	return out.String()
}

func (o *Options) broker(out *strings.Builder, broker amqp.URI) {
	nodes := slices.Clone(o.Nodes)
	if len(nodes) == 0 {
		nodes = []string{net.JoinHostPort(broker.Host, strconv.Itoa(broker.Port))}
	}
	for i, node := range nodes {
		nodes[i] = fmt.Sprintf("{address: %q}", node)
	}
	_, _ = fmt.Fprintf(out, `apiVersion: warrenmesh.io/v1alpha1
kind: EventBroker
metadata: {name: main, namespace: %s}
spec:
  vhost: %q
  nodes: [%s]
  credentials: {name: main}
`, o.Name, broker.Vhost, strings.Join(nodes, ", "))
}

func (o *Options) topic(out *strings.Builder, name, exchange string) {
	_, _ = fmt.Fprintf(out, `---
apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: %s, namespace: %s}
spec:
  brokerRef: {name: main}
  exchange: {name: %s}
  publish: {confirmTimeout: 60s, maxEventBytes: 2097152}
`, name, o.Name, exchange)
	if o.Partitions > 0 && name == topic {
		_, _ = fmt.Fprintf(out, "  partitions: {count: %d}\n", o.Partitions)
	}
}

func (o *Options) subscription(out *strings.Builder, name, from, queue string) {
	_, _ = fmt.Fprintf(out, `---
apiVersion: warrenmesh.io/v1alpha1
kind: EventSubscription
metadata: {name: %s, namespace: %s}
spec:
  topicRef: {name: %s}
  selector: {matchLabels: {app: %s}}
  queue: {name: %s, type: %s, prefetch: %d}
  retry: {attempts: 1}
  deadLetter: {queue: %s}
`, name, o.Name, from, subscriber, queue, o.QueueType, o.Prefetch, o.deadQueue())
	if o.Push && name == subscription {
		_, _ = fmt.Fprintf(out, "  delivery: {push: {port: %d}}\n", o.pushPort)
	}
	if o.Partitions > 0 && name == subscription {
		_, _ = fmt.Fprintln(out, "  ordering: PerKey")
	}
}

// routes declares a route of the topic with Rules rules, of which the last one matches.
func (o *Options) routes(out *strings.Builder) {
	if o.Rules == 0 {
		return
	}
	var rules strings.Builder
	for i := 1; i < o.Rules; i++ {
		_, _ = fmt.Fprintf(&rules, "- filters: [{exact: {type: %s-%d}}]\n  ", idle, i)
	}
	_, _ = fmt.Fprintf(&rules, "- filters: [{exact: {type: %s}}]", load.EventType)
	o.route(out, topic, rules.String())
}

func (o *Options) route(out *strings.Builder, name, rules string) {
	_, _ = fmt.Fprintf(out, `---
apiVersion: warrenmesh.io/v1alpha1
kind: EventRoute
metadata: {name: %[1]s, namespace: %[2]s}
spec:
  parentRefs: [{name: %[1]s}]
  rules:
  %[3]s
`, name, o.Name, rules)
}

func (o *Options) deadQueue() string      { return o.Name + ".dead" }
func (o *Options) idleExchange() string   { return o.Name + "." + idle }
func (o *Options) idleQueue(i int) string { return fmt.Sprintf("%s.%s.%d", o.Name, idle, i) }

// queues are those in which the events of the topic wait.
func (o *Options) queues() []string {
	if o.Partitions == 0 {
		return []string{o.Name}
	}
	var out []string
	for i := range o.Partitions {
		out = append(out, fmt.Sprintf("%s.p%d", o.Name, i))
	}
	return out
}

// topology names everything the sidecars may have declared for this mesh alone.
func (o *Options) topology() (queues, exchanges []string) {
	queues = append(o.queues(), o.deadQueue())
	exchanges = []string{o.Name}
	if o.Partitions > 0 {
		queues = append(queues, o.Name+".members")
		exchanges = append(exchanges, o.Name+".partitions", o.Name+".partitions.unpartitioned")
	}
	for i := 1; i < o.Topics; i++ {
		exchanges = append(exchanges, fmt.Sprintf("%s.%s-%d", o.Name, idle, i))
	}
	for i := 1; i < o.Subscriptions; i++ {
		queues = append(queues, o.idleQueue(i))
	}
	if o.Subscriptions > 1 {
		exchanges = append(exchanges, o.idleExchange())
	}
	return queues, exchanges
}

// writeFiles writes the configuration and the sidecars' credentials.
func (o *Options) writeFiles() error {
	broker, err := amqp.ParseURI(o.URL)
	if err != nil {
		return fmt.Errorf("parse the broker's URL: %w", err)
	}
	for name, text := range map[string]string{
		"config/mesh.yaml":          o.declared(broker),
		"credentials/main/username": broker.Username,
		"credentials/main/password": broker.Password,
	} {
		path := filepath.Join(o.Dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("write configuration: %w", err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return fmt.Errorf("write configuration: %w", err)
		}
	}
	return nil
}
