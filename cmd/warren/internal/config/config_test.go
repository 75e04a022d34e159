package config

import (
	"go.uber.org/goleak"

	"encoding/json"
	"strings"
	"testing"

	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli/clitest"
)

// warren is the program under test.
var warren = clitest.Program{New}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// validated runs the command; the directory's own path is cut to its name.
func validated(t *testing.T, dir string, args ...string) (clitest.Result, string) {
	t.Helper()
	args = append([]string{"config", "validate", dir}, args...)
	r := warren.Run(t, args...)
	return r, strings.ReplaceAll(clitest.Transcript(r, args...), dir, "config")
}

func TestValidateGoodConfigurationCountsWhatIsThere(t *testing.T) {
	t.Parallel()
	_, text := validated(t, clitest.ConfigDir(t, map[string]string{"broker.yaml": clitest.BrokerYAML, "flow.yaml": clitest.FlowYAML}))
	clitest.Golden(t, "validate-good", text)
}

func TestValidatePrintsAllProblemsWithTheirPlaces(t *testing.T) {
	t.Parallel()
	dir := clitest.ConfigDir(t, map[string]string{"broker.yaml": clitest.BrokerYAML, "flow.yaml": clitest.BrokenYAML})
	_, text := validated(t, dir)
	clitest.Golden(t, "validate-problems", text)

	r, _ := validated(t, dir, "-o", "json")
	var out validateOutput
	if err := json.Unmarshal([]byte(r.Out), &out); err != nil {
		t.Fatal(err)
	}
	if r.Code != cli.ExitFailure || out.Valid || len(out.Problems) != 3 {
		t.Fatalf("exit %d, %d problems:\n%s", r.Code, len(out.Problems), r.Out)
	}
	for _, p := range out.Problems {
		if p.File != "flow.yaml" || p.Line == 0 || p.Field == "" || p.Message == "" || p.Object == "" {
			t.Errorf("problem is incomplete: %+v", p)
		}
	}
}

func TestValidateSaysThatADirectoryDeclaresNothing(t *testing.T) {
	t.Parallel()
	if r, _ := validated(t, clitest.ConfigDir(t, nil)); r.Code != cli.ExitFailure || !strings.Contains(r.Out, "holds no *.yaml") {
		t.Errorf("without files: %+v", r)
	}
	r, _ := validated(t, clitest.ConfigDir(t, map[string]string{"later.yaml": "# nothing yet\n"}))
	if r.Code != cli.ExitFailure || !strings.Contains(r.Out, "later.yaml: is empty") {
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
		if r, _ := validated(t, clitest.ConfigDir(t, config(n))); r.Code != cli.ExitFailure || !strings.Contains(r.Out, "spec.queue.name: has") || !strings.Contains(r.Out, "want at most 242") {
			t.Errorf("%d bytes: %+v", n, r)
		}
	}
	if r, _ := validated(t, clitest.ConfigDir(t, config(242))); r.Code != cli.ExitOK {
		t.Errorf("242 bytes: %+v", r)
	}
}

func TestValidateWithoutADirectoryIsAMistake(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"/does/not/exist", "config.go"} {
		if r := warren.Run(t, "config", "validate", dir); r.Code != cli.ExitUsage {
			t.Errorf("%s: %+v", dir, r)
		}
	}
}

func TestTheShopsConfigurationIsValid(t *testing.T) {
	t.Parallel()
	if r := warren.Run(t, "config", "validate", "../../../../examples/shop/config"); r.Code != cli.ExitOK {
		t.Errorf("%+v", r)
	}
}
