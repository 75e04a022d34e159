package faults

import (
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/warrenmesh/warren/internal/localbroker"
	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/rig"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A busy machine must not fail a test. The time bounds are so loose that only a hang
// exceeds them.
const loose = 30

// TestUnderFaults runs a handful of the scenarios on a node of its own.
func TestUnderFaults(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a RabbitMQ; not with -short")
	}
	runner, err := New(t.Context(), Options{Dir: t.TempDir(), Scale: 0.3, Slow: loose, Short: true, Race: true, Want: localbroker.WantFrom(os.Getenv), Report: func(line string) { t.Log(line) }})
	if err != nil {
		t.Fatal(err)
	}
	defer runner.Close()
	for _, s := range Scenarios() {
		if !s.Quick {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			if result := play(t, runner, s); !result.Passed() {
				t.Errorf("%s\n%s", explain(result), strings.Join(result.Failures, "\n"))
			}
		})
	}
	t.Run("a run that nothing disturbs fails", func(t *testing.T) {
		result := play(t, runner, rig.Scenario{Name: "undisturbed", Nodes: 1, Run: func(w *rig.World) check.Expect {
			w.Start(rig.Setup{})
			w.AwaitOK(100)
			w.Finish()
			return w.Expect()
		}})
		if !result.Report.Broken(check.I0Proof) {
			t.Errorf("it passed:\n%s", explain(result))
		}
	})
}

func play(t *testing.T, runner *Runner, s rig.Scenario) *Result {
	t.Helper()
	began := time.Now()
	result, err := runner.Run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s after %.1fs\n%s\n%s", s.Name, time.Since(began).Seconds(), check.Header(), result.Report.Line())
	return result
}

func explain(r *Result) string {
	var b strings.Builder
	r.Report.Explain(&b)
	return b.String()
}

func TestEveryRowHasAScenarioOrAReason(t *testing.T) {
	t.Parallel()
	seen := map[int]string{}
	for _, s := range Scenarios() {
		if seen[s.Row] != "" {
			t.Errorf("row %d has two scenarios, %s and %s", s.Row, seen[s.Row], s.Name)
		}
		seen[s.Row] = s.Name
		if s.Nodes != 1 && s.Nodes != 3 || s.Fault == "" || s.Run == nil {
			t.Errorf("row %d is not complete: %+v", s.Row, s)
		}
	}
	const rows = 46
	for row := 1; row <= rows; row++ {
		if (seen[row] == "") == (Missing[row] == "") {
			t.Errorf("row %d has scenario %q and reason %q, want one of them", row, seen[row], Missing[row])
		}
	}
}

func TestRowsAreSelected(t *testing.T) {
	t.Parallel()
	got, err := Select("1, 8,13-14", false)
	if err != nil {
		t.Fatal(err)
	}
	var rows []int
	for _, s := range got {
		rows = append(rows, s.Row)
	}
	if len(rows) != 4 || rows[0] != 1 || rows[3] != 8 {
		t.Errorf("selected %v, want 1, 13, 14 and then 8, which needs three nodes", rows)
	}
	if short, err := Select("", true); err != nil || len(short) < 20 || len(short) >= len(Scenarios()) {
		t.Errorf("the short set has %d scenarios, %v", len(short), err)
	}
	for _, rows := range []string{"x", "3-1", "31", "1-", "0"} {
		if _, err := Select(rows, false); err == nil {
			t.Errorf("rows %q are taken", rows)
		}
	}
}

func TestThePageShowsEveryResult(t *testing.T) {
	t.Parallel()
	failed := check.Check(&history.Run{Scenario: "made"}, check.Expect{})
	page := Page{
		Results: []*Result{
			{Scenario: rig.Scenario{Row: 2, Name: "two", Fault: "a fault", Holds: "more holds"}, Report: failed, Failures: []string{"what failed\nin many lines"}},
			{Scenario: rig.Scenario{Row: 1, Name: "one", Fault: "another"}, Report: failed, Faults: []string{"p1", "p2", "p3", "p4", "p5"}},
		},
		Command: "make faults", Facts: Facts{Date: "2026-01-02", Cores: 2, Go: "1", RabbitMQ: "3"}, Took: 90 * time.Second,
	}
	text := page.Markdown("")
	for _, want := range []string{
		"`make faults` on 2026-01-02: 2 scenarios, 2 failed, 0 events in 90 s; 2 cores, RabbitMQ 3, Go 1.",
		"- **1 one**: another. Proof: p1. Proof: p2. Proof: p3. And 2 more.", "- **2 two**: a fault. Besides: more holds.", "  - what failed\n", "- 31: ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	if strings.Index(text, "**1 one**") > strings.Index(text, "**2 two**") {
		t.Error("the rows are not in order")
	}
}
