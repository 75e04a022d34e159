package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/examples/shop/account"
	"github.com/warrenmesh/warren/examples/shop/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func shopFile(t *testing.T, elements ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(append([]string{"..", "..", "examples", "shop"}, elements...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestTheBrokerThatWasFoundIsWrittenIntoTheShopsFile(t *testing.T) {
	t.Parallel()
	got, err := setBroker(shopFile(t, "config", brokerFile), "127.0.0.1:24321", "a$1 b")
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
	before := shopFile(t, "config", pushFile)
	after, err := setPushPort(before, "24321")
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
	before := shopFile(t, "config", routeFile)
	after, err := setWeights(before, 50, 50)
	if err != nil {
		t.Fatal(err)
	}
	undone := strings.NewReplacer("orders, weight: 50", "orders, weight: 100", "orders-next, weight: 50", "orders-next, weight: 0").Replace(after)
	if before == after || undone != before {
		t.Errorf("edited file:\n%s", after)
	}
}

func TestTheBrokenEditKnowsItsLine(t *testing.T) {
	t.Parallel()
	broken, line, err := misspell(shopFile(t, "config", routeFile))
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Split(broken, "\n")[line-1]; !strings.Contains(text, misspelled) {
		t.Errorf("line %d is %q", line, text)
	}
}

func TestAFileThatIsNotTheShopsIsNotEdited(t *testing.T) {
	t.Parallel()
	if _, err := setWeights("weight: 1", 50, 50); err == nil {
		t.Error("setWeights edited something else")
	}
	if _, err := setBroker("nodes: []", "a:1", "/"); err == nil {
		t.Error("setBroker edited something else")
	}
	if _, err := setPushPort("push: {port: 1}", "2"); err == nil {
		t.Error("setPushPort edited something else")
	}
	if _, _, err := misspell(""); err == nil {
		t.Error("misspell edited something else")
	}
}

func TestAnAMQPURLIsTakenApart(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]amqpAddress{
		"amqp://127.0.0.1":                     {"127.0.0.1:5672", "/", "guest", "guest"},
		"amqp://me:se%40cret@[::1]:5673/":      {"[::1]:5673", "/", "me", "se@cret"},
		"amqp://guest:guest@127.0.0.1:1/%2f":   {"127.0.0.1:1", "/", "guest", "guest"},
		"amqp://u:p@broker.example:5672/a%20b": {"broker.example:5672", "a b", "u", "p"},
	} {
		if got, err := parseAMQP(url); err != nil || got != want {
			t.Errorf("%s is %+v, %v; want %+v", url, got, err, want)
		}
	}
	for _, url := range []string{"amqps://127.0.0.1", "127.0.0.1:5672", "amqp://u:secret@[::1"} {
		if _, err := parseAMQP(url); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: error is %v; want one without the password", url, err)
		}
	}
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

func confirmed(second int, topic string) journal.Record {
	return journal.Record{Time: at(second), What: journal.Confirmed, Topic: topic, Attempt: 1, Trace: topic}
}

func TestTheSplitLeavesOutWhatWasOnItsWay(t *testing.T) {
	t.Parallel()
	s := splitAt([]journal.Record{
		confirmed(1, stableTopic), confirmed(2, stableTopic),
		{Time: at(1), What: journal.Published, Topic: "orders"},
		confirmed(11, canaryTopic), // after the edit and before it was in force
		confirmed(21, canaryTopic), confirmed(22, stableTopic), confirmed(23, canaryTopic), confirmed(24, canaryTopic),
	}, at(10), at(20))
	if s.before[stableTopic] != 2 || s.before[canaryTopic] != 0 || s.after[stableTopic] != 1 || s.after[canaryTopic] != 3 {
		t.Errorf("split is %+v", s)
	}
	if got := share(s.after, canaryTopic); got != 0.75 {
		t.Errorf("share is %v, want 0.75", got)
	}
	if got := share(nil, canaryTopic); got != 0 {
		t.Errorf("share of nothing is %v", got)
	}
}

func TestASplitThatChanceDoesNotExplainIsAnError(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name                   string
		before, stable, canary int
		ok                     bool
	}{
		{"half and half", 0, 500, 500, true},
		{"a little off", 0, 460, 540, true},
		{"as before the edit", 0, 1000, 0, false},
		{"all to the canary", 0, 0, 1000, false},
		{"a quarter", 0, 750, 250, false},
		{"nothing at all", 0, 0, 0, false},
		{"one order too early", 1, 500, 500, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			err := checkSplit(split{
				before: map[string]int{stableTopic: 100, canaryTopic: tc.before},
				after:  map[string]int{stableTopic: tc.stable, canaryTopic: tc.canary},
			})
			if (err == nil) != tc.ok {
				t.Errorf("error is %v, want ok=%v", err, tc.ok)
			}
		})
	}
}

func TestARefusalMustNameFileLineAndFieldAndKeepTheOldConfiguration(t *testing.T) {
	t.Parallel()
	good := &adminv1.Problem{File: routeFile, Line: 15, Field: "spec.rules[0].backendRefs[1].name"}
	for _, tc := range []struct {
		name    string
		version string
		problem *adminv1.Problem
		ok      bool
	}{
		{"as it should be", "v1", good, true},
		{"the configuration changed", "v2", good, false},
		{"another line", "v1", &adminv1.Problem{File: routeFile, Line: 3, Field: "spec"}, false},
		{"another file", "v1", &adminv1.Problem{File: "topics.yaml", Line: 15, Field: "spec"}, false},
		{"no field", "v1", &adminv1.Problem{File: routeFile, Line: 15}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			err := checkRefusal(&adminv1.GetStatusResponse{Version: tc.version, Problems: []*adminv1.Problem{tc.problem}}, "v1", 15)
			if (err == nil) != tc.ok {
				t.Errorf("error is %v, want ok=%v", err, tc.ok)
			}
		})
	}
}

func TestProgrammedMeansThatNobodyIsPending(t *testing.T) {
	t.Parallel()
	object := func(status string, pending uint32) *adminv1.GetStatusResponse {
		return &adminv1.GetStatusResponse{Objects: []*adminv1.Object{
			{Kind: "EventTopic", Name: "orders-canary", Conditions: []*adminv1.Condition{{Type: "Programmed", Status: "True"}}},
			{Kind: "EventRoute", Name: "orders-canary", Pending: pending, Conditions: []*adminv1.Condition{
				{Type: "Accepted", Status: "True"}, {Type: "Programmed", Status: status},
			}},
		}}
	}
	for _, tc := range []struct {
		status  string
		pending uint32
		want    bool
	}{{"True", 0, true}, {"True", 1, false}, {"False", 0, false}, {"Unknown", 0, false}} {
		if got := programmed(object(tc.status, tc.pending), "EventRoute", "orders-canary"); got != tc.want {
			t.Errorf("%s with %d pending: programmed is %v, want %v", tc.status, tc.pending, got, tc.want)
		}
	}
	if programmed(object("True", 0), "EventRoute", "another") {
		t.Error("an object that is not there was called programmed")
	}
}

func TestInSyncMeansThatEverySidecarIsThereAndSynced(t *testing.T) {
	t.Parallel()
	mesh := func(states ...string) *adminv1.GetStatusResponse {
		status := &adminv1.GetStatusResponse{}
		for _, state := range states {
			status.Sidecars = append(status.Sidecars, &adminv1.Sidecar{State: state})
		}
		return status
	}
	if !inSync(mesh("SYNCED", "SYNCED"), 2) {
		t.Error("two of two synced are not in sync")
	}
	if inSync(mesh("SYNCED"), 2) || inSync(mesh("SYNCED", "STALE"), 2) || inSync(mesh("NACK", "SYNCED"), 2) {
		t.Error("a sidecar that is missing, stale or refuses was called in sync")
	}
}

func TestTraceCandidatesBeginWithOrdersOfOneCall(t *testing.T) {
	t.Parallel()
	repeated := confirmed(11, "second")
	repeated.Attempt = 2
	got := traceCandidates([]journal.Record{confirmed(1, "early"), repeated, confirmed(12, "first"), {Time: at(13), What: journal.Published, Trace: "open"}}, at(10))
	if strings.Join(got, " ") != "first second" {
		t.Errorf("candidates are %v", got)
	}
}

func TestTheTableShowsEveryServiceAndLeftovers(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	books := account.Books{Rows: []account.Row{
		{Service: "checkout", Published: 4000, Confirmed: 4000, Repeated: 7},
		{Service: "audit", Received: 8000, Duplicates: 3, Leftovers: 12},
	}}
	if err := writeTable(&out, books); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"service  published", "checkout       4000       4000         7", "audit also received 12 events"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, out.String())
		}
	}
}

func TestProgressFitsALine(t *testing.T) {
	t.Parallel()
	line := progress(account.Books{Rows: []account.Row{
		{Service: "checkout", Published: 4000, Confirmed: 3999}, {Service: "billing", Received: 4000},
		{Service: "shipping", Received: 4000}, {Service: "audit", Received: 8000},
	}}, 4000)
	if want := "orders 4000/4000, confirmed 3999, received by billing 4000 shipping 4000 audit 8000"; line != want {
		t.Errorf("line is %q, want %q", line, want)
	}
}

func TestAFileIsReplacedByRenaming(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.yaml")
	for _, text := range []string{"one", "two"} {
		if err := replaceFile(path, []byte(text)); err != nil {
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
