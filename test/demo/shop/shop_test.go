package shop

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/warrenmesh/warren/examples/shop/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	stableTopic = "shop/orders"
	canaryTopic = "shop/orders-next"
)

// at is a moment, counted in seconds.
func at(seconds int) time.Time { return time.Unix(int64(seconds), 0) }

func confirmed(second int, topic string) journal.Record {
	return journal.Record{Time: at(second), What: journal.Confirmed, Topic: topic}
}

func shopFile(t *testing.T, elements ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(append([]string{"..", "..", "..", "examples", "shop"}, elements...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestTheBrokerThatWasFoundIsWrittenIntoTheShopsFile(t *testing.T) {
	t.Parallel()
	got, err := SetBroker(shopFile(t, "config", BrokerFile), "127.0.0.1:24321", "a$1 b")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`- {address: "127.0.0.1:24321"}`, `  vhost: "a$1 b"`, "credentials: {name: main}"} {
		if !strings.Contains(got, want) {
			t.Errorf("the file lacks %s:\n%s", want, got)
		}
	}
}

func TestTheFreePortIsWrittenIntoBillingsSubscriptions(t *testing.T) {
	t.Parallel()
	before := shopFile(t, "config", PushFile)
	after, err := SetPushPort(before, "24321")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(after, "delivery: {push: {port: 24321}}"); n != 2 {
		t.Errorf("the port is there %d times, want 2", n)
	}
	if undone := strings.ReplaceAll(after, "24321", "9090"); undone != before {
		t.Errorf("edited file:\n%s", after)
	}
}

func TestTheCanaryEditChangesTheTwoWeightsAndNothingElse(t *testing.T) {
	t.Parallel()
	before := shopFile(t, "config", RouteFile)
	after, err := SetWeights(before, 50, 50)
	if err != nil {
		t.Fatal(err)
	}
	undone := strings.NewReplacer("orders, weight: 50", "orders, weight: 100", "orders-next, weight: 50", "orders-next, weight: 0").Replace(after)
	if before == after || undone != before {
		t.Errorf("edited file:\n%s", after)
	}
}

func TestMisspellReturnsTheEditedLine(t *testing.T) {
	t.Parallel()
	broken, line, err := Misspell(shopFile(t, "config", RouteFile))
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Split(broken, "\n")[line-1]; !strings.Contains(text, Misspelled) {
		t.Errorf("line %d is %q", line, text)
	}
}

func TestFilesOfOthersAreNotEdited(t *testing.T) {
	t.Parallel()
	if _, err := SetWeights("weight: 1", 50, 50); err == nil {
		t.Error("setWeights edited something else")
	}
	if _, err := SetBroker("nodes: []", "a:1", "/"); err == nil {
		t.Error("setBroker edited something else")
	}
	if _, err := SetPushPort("push: {port: 1}", "2"); err == nil {
		t.Error("setPushPort edited something else")
	}
	if _, _, err := Misspell(""); err == nil {
		t.Error("misspell edited something else")
	}
}

func TestParseAMQPReadsEveryPartOfAURL(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]AMQPAddress{
		"amqp://127.0.0.1":                     {"127.0.0.1:5672", "/", "guest", "guest"},
		"amqp://me:se%40cret@[::1]:5673/":      {"[::1]:5673", "/", "me", "se@cret"},
		"amqp://guest:guest@127.0.0.1:1/%2f":   {"127.0.0.1:1", "/", "guest", "guest"},
		"amqp://u:p@broker.example:5672/a%20b": {"broker.example:5672", "a b", "u", "p"},
	} {
		if got, err := ParseAMQP(url); err != nil || got != want {
			t.Errorf("%s is %+v, %v; want %+v", url, got, err, want)
		}
	}
	for _, url := range []string{"amqps://127.0.0.1", "127.0.0.1:5672", "amqp://u:secret@[::1"} {
		if _, err := ParseAMQP(url); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: error is %v; want one without the password", url, err)
		}
	}
}

func TestTheSplitLeavesOutOrdersDuringTheEdit(t *testing.T) {
	t.Parallel()
	s := SplitAt([]journal.Record{
		confirmed(1, stableTopic), confirmed(2, stableTopic),
		{Time: at(1), What: journal.Published, Topic: "orders"},
		confirmed(11, canaryTopic), // after the edit and before it was in force
		confirmed(21, canaryTopic), confirmed(22, stableTopic), confirmed(23, canaryTopic), confirmed(24, canaryTopic),
	}, at(10), at(20))
	if s.Before[stableTopic] != 2 || s.Before[canaryTopic] != 0 || s.After[stableTopic] != 1 || s.After[canaryTopic] != 3 {
		t.Errorf("split is %+v", s)
	}
	if got := Share(s.After, canaryTopic); got != 0.75 {
		t.Errorf("share is %v, want 0.75", got)
	}
	if got := Share(nil, canaryTopic); got != 0 {
		t.Errorf("share of nothing is %v", got)
	}
}

func TestReplaceFileLeavesNoOtherFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.yaml")
	for _, text := range []string{"one", "two"} {
		if err := ReplaceFile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("file holds %q, %v; want %q", got, err, text)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("the directory holds %v, %v; want one file", left, err)
	}
}
