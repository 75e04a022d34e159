package check_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
)

func Example() {
	run := made()
	forget(run, audit, "b5")
	report := check.Check(run, demands())
	report.Explain(os.Stdout)
	fmt.Println(check.Header())
	fmt.Println(report.Line())
	fmt.Println(check.MarkdownHeader())
	fmt.Println(report.MarkdownLine())
	// Output:
	// I1 lost: 1
	//     shop/audit: event "b5" of shop/orders (key "b", seq 5): OK at 45ms, never delivered
	// scenario                       events       ok   unkn failed    deliv     dup lost order false   recov     peak    gorout     pub f/s  settle f/s verdict
	// made                               30       30      0      0       59     0/0    1     0     0     8ms  40.0MiB     50/50         0/0         0/0 I1
	// | scenario | events | OK | unknown | failed | delivered | duplicates flagged / unflagged | lost | order violations | false OK | recovery | peak memory | goroutines before / after | publishes fast / slow | settlements fast / slow | verdict |
	// |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|
	// | made | 30 | 30 | 0 | 0 | 59 | 0/0 | 1 | 0 | 0 | 8ms | 40.0MiB | 50/50 | 0/0 | 0/0 | I1 |
}

func TestTextLinesAlignWithTheirHeader(t *testing.T) {
	t.Parallel()
	report := check.Check(made(), demands())
	header, line := check.Header(), report.Line()
	for _, name := range []string{"events", "failed", "lost", "recov", "gorout"} {
		end := strings.Index(header, name) + len(name)
		if len(line) <= end || line[end] != ' ' || line[end-1] == ' ' {
			t.Errorf("nothing ends under %q:\n%s\n%s", name, header, line)
		}
	}
}

func TestMarkdownLinesHaveTheCellsOfTheirHeader(t *testing.T) {
	t.Parallel()
	run := made()
	run.Scenario = "a|b"
	head := strings.Split(check.MarkdownHeader(), "\n")
	line := strings.ReplaceAll(check.Check(run, demands()).MarkdownLine(), `\|`, "")
	if len(head) != 2 || strings.Count(head[0], "|") != strings.Count(head[1], "|") || strings.Count(line, "|") != strings.Count(head[0], "|") {
		t.Errorf("cells differ:\n%s\n%s", strings.Join(head, "\n"), line)
	}
}

func TestTheNumbersAreThoseOfTheHistory(t *testing.T) {
	t.Parallel()
	run := made()
	publish(run, "a5").Result = history.Unknown
	publish(run, "a6").Result = history.Failed
	forget(run, billing, "a6")
	forget(run, audit, "a6")
	repeat(run, "b5", history.Unknown, ms)
	again(run, audit, "b5", false)
	again(run, audit, "b6", true)
	deliveryTo(run, audit, "b7").Outcome = history.Retry
	again(run, audit, "b7", true)
	last(run).Outcome, last(run).Attempt = history.Ack, 2
	forget(run, billing, "c5")
	dead(run, billing, "c5")
	r := check.Check(run, demands())
	r.Violations = nil
	got := fmt.Sprintf("events %d: %d OK, %d unknown, %d failed in %d calls; delivered %d in %d, %d retried, %d repeated, %d/%d; dead %d; recovery %v %v; in flight %d",
		r.Events, r.OK, r.Unknown, r.Failed, r.Calls, r.Delivered, r.Deliveries, r.Retried, r.Repeated, r.Flagged, r.Unflagged, r.DeadLettered, r.Recovery, r.DeliveryRecovery, r.InFlight)
	want := "events 30: 28 OK, 1 unknown, 1 failed in 31 calls; delivered 57 in 60, 1 retried, 1 repeated, 1/0; dead 1; recovery 6ms 8ms; in flight 3"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A million events to two subscriptions make three million records.
func BenchmarkCheckAMillionEvents(b *testing.B) {
	run := &history.Run{}
	for part := random(1, 16); len(run.Publishes) < 1_000_000; {
		n := len(run.Publishes)
		run.Faults, run.Samples, run.Drained = part.Faults, part.Samples, part.Drained
		for _, p := range part.Publishes {
			p.ID, p.Key = fmt.Sprint(n, p.ID), fmt.Sprint(n, p.Key)
			run.Publishes = append(run.Publishes, p)
		}
		for _, d := range part.Deliveries {
			d.ID, d.Key = fmt.Sprint(n, d.ID), fmt.Sprint(n, d.Key)
			run.Deliveries = append(run.Deliveries, d)
		}
		for _, d := range part.DeadLetters {
			d.ID = fmt.Sprint(n, d.ID)
			run.DeadLetters = append(run.DeadLetters, d)
		}
	}
	runtime.GC()
	b.ReportAllocs()
	for b.Loop() {
		if report := check.Check(run, lenient()); !report.Passed() {
			b.Fatal(report.Verdict())
		}
	}
}
