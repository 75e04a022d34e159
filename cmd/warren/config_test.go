package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// configDir writes files into a directory named config and returns its path.
func configDir(t *testing.T, files map[string]string) string {
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

const brokerYAML = `apiVersion: warrenmesh.io/v1alpha1
kind: EventBroker
metadata: {name: main, namespace: shop}
spec:
  nodes:
  - {address: "127.0.0.1:5672"}
`

const flowYAML = `apiVersion: warrenmesh.io/v1alpha1
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

const brokenYAML = `apiVersion: warrenmesh.io/v1alpha1
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

// validate runs the command; the directory's own path is cut to its name.
func validate(t *testing.T, dir string, args ...string) (result, string) {
	t.Helper()
	args = append([]string{"config", "validate", dir}, args...)
	r := invocation{}.run(t, args...)
	return r, strings.ReplaceAll(transcript(r, args...), dir, "config")
}

func TestValidateGoodConfigurationCountsWhatIsThere(t *testing.T) {
	t.Parallel()
	_, text := validate(t, configDir(t, map[string]string{"broker.yaml": brokerYAML, "flow.yaml": flowYAML}))
	golden(t, "validate-good", text)
}

func TestValidatePrintsAllProblemsWithTheirPlaces(t *testing.T) {
	t.Parallel()
	dir := configDir(t, map[string]string{"broker.yaml": brokerYAML, "flow.yaml": brokenYAML})
	_, text := validate(t, dir)
	golden(t, "validate-problems", text)

	r, _ := validate(t, dir, "-o", "json")
	var out validateOutput
	if err := json.Unmarshal([]byte(r.out), &out); err != nil {
		t.Fatal(err)
	}
	if r.code != exitFailure || out.Valid || len(out.Problems) != 3 {
		t.Fatalf("exit %d, %d problems:\n%s", r.code, len(out.Problems), r.out)
	}
	for _, p := range out.Problems {
		if p.File != "flow.yaml" || p.Line == 0 || p.Field == "" || p.Message == "" || p.Object == "" {
			t.Errorf("problem is incomplete: %+v", p)
		}
	}
}

func TestValidateSaysThatADirectoryDeclaresNothing(t *testing.T) {
	t.Parallel()
	if r, _ := validate(t, configDir(t, nil)); r.code != exitFailure || !strings.Contains(r.out, "holds no *.yaml") {
		t.Errorf("without files: %+v", r)
	}
	r, _ := validate(t, configDir(t, map[string]string{"later.yaml": "# nothing yet\n"}))
	if r.code != exitFailure || !strings.Contains(r.out, "later.yaml: is empty") {
		t.Errorf("with comments only: %+v", r)
	}
}

// A name made from the queue's that does not fit is found here, not by a sidecar.
func TestValidateFindsAQueueThatLeavesNoRoomForItsRetries(t *testing.T) {
	t.Parallel()
	const head = "apiVersion: warrenmesh.io/v1alpha1\nkind: "
	config := func(queue int) map[string]string {
		return map[string]string{"a.yaml": head + "EventBroker\nmetadata: {name: main}\nspec: {nodes: [{address: \"127.0.0.1:5672\"}]}\n---\n" +
			head + "EventTopic\nmetadata: {name: in}\nspec: {brokerRef: {name: main}}\n---\n" +
			head + "EventSubscription\nmetadata: {name: s}\nspec:\n  topicRef: {name: in}\n  selector: {matchLabels: {app: app}}\n  queue: {name: " + strings.Repeat("q", queue) +
			"}\n  retry: {attempts: 3, backoff: {baseInterval: 1s, maxInterval: 1s}}\n"}
	}
	for _, n := range []int{243, 250} {
		if r, _ := validate(t, configDir(t, config(n))); r.code != exitFailure || !strings.Contains(r.out, "spec.queue.name: has") || !strings.Contains(r.out, "want at most 242") {
			t.Errorf("%d bytes: %+v", n, r)
		}
	}
	if r, _ := validate(t, configDir(t, config(242))); r.code != exitOK {
		t.Errorf("242 bytes: %+v", r)
	}
}

func TestValidateWithoutADirectoryIsAMistake(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"/does/not/exist", "config.go"} {
		if r := (invocation{}).run(t, "config", "validate", dir); r.code != exitUsage {
			t.Errorf("%s: %+v", dir, r)
		}
	}
}

func TestTheShopsConfigurationIsValid(t *testing.T) {
	t.Parallel()
	if r := (invocation{}).run(t, "config", "validate", "../../examples/shop/config"); r.code != exitOK {
		t.Errorf("%+v", r)
	}
}
