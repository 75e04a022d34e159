package mesh

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Names of the declared objects. The label app of a workload is its name.
const (
	topic        = "events"
	subscription = "drain"
	publisher    = "publisher"
	subscriber   = "subscriber"
)

// declared is the configuration of the mesh: one topic, and one subscription that takes
// everything. The confirm timeout is very long, so that a slow machine never makes an
// outcome unknown: the event would be published again, and its copy would end the run.
func (o *Options) declared(broker amqp.URI) string {
	return fmt.Sprintf(`apiVersion: warrenmesh.io/v1alpha1
kind: EventBroker
metadata: {name: main, namespace: %[1]s}
spec:
  vhost: %[2]q
  nodes: [{address: %[3]q}]
  credentials: {name: main}
---
apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: %[4]s, namespace: %[1]s}
spec:
  brokerRef: {name: main}
  exchange: {name: %[1]s}
  publish: {confirmTimeout: 60s}
---
apiVersion: warrenmesh.io/v1alpha1
kind: EventSubscription
metadata: {name: %[5]s, namespace: %[1]s}
spec:
  topicRef: {name: %[4]s}
  selector: {matchLabels: {app: %[6]s}}
  queue: {name: %[1]s, type: %[7]s, prefetch: %[8]d}
  retry: {attempts: 1}
  deadLetter: {queue: %[9]s}
`, o.Name, broker.Vhost, net.JoinHostPort(broker.Host, strconv.Itoa(broker.Port)), topic, subscription, subscriber, o.QueueType, o.Prefetch, o.deadQueue())
}

func (o *Options) deadQueue() string { return o.Name + ".dead" }

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
