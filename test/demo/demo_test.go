package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/examples/shop/account"
	"github.com/warrenmesh/warren/examples/shop/journal"
	"github.com/warrenmesh/warren/test/demo/shop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

func confirmed(second int, topic string) journal.Record {
	return journal.Record{Time: at(second), What: journal.Confirmed, Topic: topic, Attempt: 1, Trace: topic}
}

func TestASplitThatChanceCannotExplainIsAnError(t *testing.T) {
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
			err := checkSplit(shop.Split{
				Before: map[string]int{stableTopic: 100, canaryTopic: tc.before},
				After:  map[string]int{stableTopic: tc.stable, canaryTopic: tc.canary},
			})
			if (err == nil) != tc.ok {
				t.Errorf("error is %v, want ok=%v", err, tc.ok)
			}
		})
	}
}

func TestARefusalMustNameFileLineAndFieldAndKeepTheOldConfiguration(t *testing.T) {
	t.Parallel()
	good := &adminv1.Problem{File: shop.RouteFile, Line: 15, Field: "spec.rules[0].backendRefs[1].name"}
	for _, tc := range []struct {
		name    string
		version string
		problem *adminv1.Problem
		ok      bool
	}{
		{"as it should be", "v1", good, true},
		{"the configuration changed", "v2", good, false},
		{"another line", "v1", &adminv1.Problem{File: shop.RouteFile, Line: 3, Field: "spec"}, false},
		{"another file", "v1", &adminv1.Problem{File: "topics.yaml", Line: 15, Field: "spec"}, false},
		{"no field", "v1", &adminv1.Problem{File: shop.RouteFile, Line: 15}, false},
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

func TestProgrammedMeansThatNoSidecarIsPending(t *testing.T) {
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

func TestInSyncMeansThatEverySidecarIsConnectedAndSynced(t *testing.T) {
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

func TestTraceCandidatesBeginWithOrdersThatNeededOneCall(t *testing.T) {
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

func TestProgressIsOneLine(t *testing.T) {
	t.Parallel()
	line := progress(account.Books{Rows: []account.Row{
		{Service: "checkout", Published: 4000, Confirmed: 3999}, {Service: "billing", Received: 4000},
		{Service: "shipping", Received: 4000}, {Service: "audit", Received: 8000},
	}}, 4000)
	if want := "orders 4000/4000, confirmed 3999, received by billing 4000 shipping 4000 audit 8000"; line != want {
		t.Errorf("line is %q, want %q", line, want)
	}
}
