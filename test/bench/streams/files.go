package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// users is how many streams share a topic of their own.
const users = 10

// sharedTopic is the topic that all streams use.
const sharedTopic = "all"

const head = "---\napiVersion: warrenmesh.io/v1alpha1\nkind: "

// mesh is a directory of files: one broker, one subscription of all, the shared topic
// and others, each with one route.
type mesh struct {
	dir    string
	topics int // beside the shared one
}

func ownTopic(i int) string { return fmt.Sprintf("t%d", i) }

// write writes all of it. The routes that will change have files of their own.
func (m mesh) write() error {
	var topics, routes strings.Builder
	topics.WriteString(topicYAML(sharedTopic))
	for i := range m.topics {
		topics.WriteString(topicYAML(ownTopic(i)))
		if i > 0 {
			routes.WriteString(routeYAML(ownTopic(i), 0))
		}
	}
	files := map[string]string{
		"broker.yaml":       head + "EventBroker\nmetadata: {name: main, namespace: shop}\nspec: {nodes: [{address: \"127.0.0.1:5672\"}]}\n",
		"subscription.yaml": head + "EventSubscription\nmetadata: {name: each, namespace: shop}\nspec:\n  topicRef: {name: all}\n  selector: {matchLabels: {app: bench}}\n",
		"topics.yaml":       topics.String(),
		"routes.yaml":       routes.String(),
	}
	if m.topics < 2 {
		delete(files, "routes.yaml")
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(m.dir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	if err := m.change(sharedTopic, -1); err != nil {
		return err
	}
	return m.change(ownTopic(0), -1)
}

// change gives the route of a topic other weights for each i, as a program does that
// replaces files.
func (m mesh) change(topic string, i int) error {
	beside := filepath.Join(m.dir, ".new")
	if err := os.WriteFile(beside, []byte(routeYAML(topic, i+2)), 0o600); err != nil {
		return err
	}
	return os.Rename(beside, filepath.Join(m.dir, "route-"+topic+".yaml"))
}

func topicYAML(name string) string {
	return head + "EventTopic\nmetadata: {name: " + name + ", namespace: shop}\nspec: {brokerRef: {name: main}}\n"
}

func routeYAML(topic string, weight int) string {
	other := sharedTopic
	if topic == sharedTopic {
		other = ownTopic(0)
	}
	return head + fmt.Sprintf(`EventRoute
metadata: {name: %[1]s, namespace: shop}
spec:
  parentRefs: [{name: %[1]s}]
  rules:
  - name: split
    backendRefs:
    - {name: %[1]s, weight: %[2]d}
    - {name: %[3]s, weight: 1000}
`, topic, weight, other)
}
