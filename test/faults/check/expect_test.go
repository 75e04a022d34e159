package check_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
)

func b5(p *history.Publish) bool { return p.ID == "b5" }

// lose removes b5 from both subscriptions.
func lose(r *history.Run) {
	forget(r, billing, "b5")
	forget(r, audit, "b5")
}

func TestTheExpectationOfAScenarioDecides(t *testing.T) {
	t.Parallel()
	both := func(e *check.Expect, f func(*check.Subscription)) {
		for i := range e.Subscriptions {
			f(&e.Subscriptions[i])
		}
	}
	for name, test := range map[string]struct {
		change  func(*history.Run, *check.Expect)
		verdict string
	}{
		"what the fault destroyed may be missing": {func(r *history.Run, e *check.Expect) {
			lose(r)
			both(e, func(s *check.Subscription) { s.Destroyed = b5 })
		}, "ok"},
		"what the fault destroyed unsettled may be overtaken": {func(r *history.Run, e *check.Expect) {
			unsettle(r, billing, "b5")
			both(e, func(s *check.Subscription) { s.Destroyed = b5 })
		}, "ok"},
		"what is filtered out is not owed": {func(r *history.Run, e *check.Expect) {
			lose(r)
			both(e, func(s *check.Subscription) { s.Wants = func(p *history.Publish) bool { return !b5(p) } })
		}, "ok"},
		"another topic's events are not owed": {func(r *history.Run, e *check.Expect) {
			lose(r)
			publish(r, "b5").Topic = "shop/returns"
			both(e, func(s *check.Subscription) { s.Topics = []string{topic} })
		}, "ok"},
		"what must be refused and was": {func(r *history.Run, e *check.Expect) {
			lose(r)
			publish(r, "b5").Result = history.Failed
			e.Refused = b5
		}, "ok"},
		"what must be refused and was OK": {func(r *history.Run, e *check.Expect) {
			lose(r)
			e.Refused = b5
		}, "I6"},
		"what must be refused and is unknown": {func(r *history.Run, e *check.Expect) {
			lose(r)
			publish(r, "b5").Result = history.Unknown
			e.Refused = b5
		}, "I6"},
		"what is left where that is allowed": {func(r *history.Run, e *check.Expect) {
			forget(r, audit, "b5")
			r.Leftovers = append(r.Leftovers, history.Leftover{Subscription: audit, ID: "b5"})
			e.AllowLeft = true
		}, "ok"},
		"a delivery to a subscription without expectations is judged": {func(r *history.Run, e *check.Expect) {
			e.Subscriptions = e.Subscriptions[:1]
			unsettle(r, audit, "b5")
		}, "I5"},
		"a subscription without expectations is owed nothing": {func(r *history.Run, e *check.Expect) {
			e.Subscriptions = e.Subscriptions[:1]
			forget(r, audit, "b5")
		}, "ok"},
		"more duplicates where they are allowed": {func(r *history.Run, e *check.Expect) {
			again4(r, "b5", "b6", "b7", "b8")
			e.MoreDuplicates = 1
		}, "ok"},
		"any number of duplicates, each with its flag": {func(r *history.Run, e *check.Expect) {
			again4(r, "b5", "b6", "b7", "b8")
			again(r, audit, "b5", false)
			e.MoreDuplicates = -1
		}, "I3"},
		"confirms out of order where nobody asked": {func(r *history.Run, e *check.Expect) {
			publish(r, "c9").End = 96 * ms
			e.ConfirmOrder = false
		}, "ok"},
		"more slack": {func(r *history.Run, e *check.Expect) {
			publish(r, "b10").End += 1046 * ms
			e.Slack = 100 * ms
		}, "ok"},
		"too few faults": {func(_ *history.Run, e *check.Expect) { e.MinFaults = 2 }, "I0"},
		"too few events": {func(_ *history.Run, e *check.Expect) { e.MinEvents = 31 }, "I0"},
		"recovery that nobody bounds": {func(r *history.Run, e *check.Expect) {
			later(r, 2*time.Second)
			e.MaxRecovery = 0
		}, "ok"},
		"recovery that is bounded for one subscription only": {func(r *history.Run, e *check.Expect) {
			later(r, 2*time.Second)
			e.MaxRecovery = 0
			e.Subscriptions[1].MaxRecovery = time.Second
		}, "I7"},
		"a subscription that may take longer than others": {func(r *history.Run, e *check.Expect) {
			laterTo(r, audit, 2*time.Second)
			e.Subscriptions[1].MaxRecovery = 3 * time.Second
		}, "ok"},
		"another that may not": {func(r *history.Run, e *check.Expect) {
			laterTo(r, audit, 2*time.Second)
			e.Subscriptions[0].MaxRecovery = 3 * time.Second
		}, "I7"},
		"a topic that never answers OK":               {func(r *history.Run, _ *check.Expect) { void(r) }, "I7"},
		"a topic that never does, for nobody listens": {func(r *history.Run, e *check.Expect) { void(r); e.Void = []string{"shop/void"} }, "ok"},
		"growth of a process that does not matter": {func(r *history.Run, e *check.Expect) {
			grow(r, func(s *history.Sample) { s.Goroutines += 6; s.Process = "broker" })
			e.Processes = []string{"proxy"}
			r.Samples = append(r.Samples, history.Sample{Process: "proxy", At: 0}, history.Sample{Process: "proxy", At: time.Second})
		}, "ok"},
		"a process that was not measured": {func(_ *history.Run, e *check.Expect) { e.Processes = []string{"proxy"} }, "I0"},
	} {
		run, want := made(), demands()
		test.change(run, &want)
		report := check.Check(run, want)
		if report.Verdict() != test.verdict {
			var words strings.Builder
			report.Explain(&words)
			t.Errorf("%s: verdict %q, want %q:\n%s", name, report.Verdict(), test.verdict, &words)
		}
	}
}

func TestOnlyTheFirstFewViolationsOfAKindAreExplained(t *testing.T) {
	t.Parallel()
	run, want := made(), demands()
	for _, id := range []string{"a5", "a6", "a7", "a8"} {
		forget(run, audit, id)
	}
	want.Examples = 2
	var words strings.Builder
	check.Check(run, want).Explain(&words)
	if got := words.String(); !strings.Contains(got, "lost: 4\n") || strings.Count(got, "never delivered") != 2 || !strings.Contains(got, "and 2 more") {
		t.Errorf("explained as:\n%s", got)
	}
}

func TestAPerfectRunWithoutAFaultFails(t *testing.T) {
	t.Parallel()
	run := made()
	run.Faults = nil
	if report := check.Check(run, check.Expect{}); report.Verdict() != "I0" {
		t.Errorf("verdict %q", report.Verdict())
	}
}

// void adds failing calls to a topic until long after the fault.
func void(r *history.Run) {
	for i := range 30 {
		at := time.Duration(i) * 100 * ms
		r.Publishes = append(r.Publishes, history.Publish{
			ID: fmt.Sprint("void", i), Topic: "shop/void", Start: at, End: at + ms, Deadline: time.Second, Result: history.Failed,
		})
	}
}
