package clitest

import (
	"os"
	"path/filepath"
	"testing"
)

// ConfigDir writes files into a directory named config and returns its path.
func ConfigDir(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "config")
	if err := os.Mkdir(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// BrokerYAML declares the broker shop/main.
const BrokerYAML = `apiVersion: warrenmesh.io/v1alpha1
kind: EventBroker
metadata: {name: main, namespace: shop}
spec:
  nodes:
  - {address: "127.0.0.1:5672"}
`

// FlowYAML declares the topic shop/orders on it and the subscription shop/billing.
const FlowYAML = `apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: orders, namespace: shop}
spec:
  brokerRef: {name: main}
---
apiVersion: warrenmesh.io/v1alpha1
kind: EventSubscription
metadata: {name: billing, namespace: shop}
spec:
  topicRef: {name: orders}
  selector: {matchLabels: {app: billing}}
`

// BrokenYAML is FlowYAML with three mistakes.
const BrokenYAML = `apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: orders, namespace: shop}
spec:
  brokerRef: {name: man}
  routingkey: "{type}"
---
apiVersion: warrenmesh.io/v1alpha1
kind: EventSubscription
metadata: {name: billing, namespace: shop}
spec:
  topicRef: {name: orders}
  selector: {matchLabels: {app: billing}}
  queue: {prefetch: 70000}
`
