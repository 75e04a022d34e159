package controlplane

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/controlplane/status"
	"github.com/warrenmesh/warren/xds"
)

// lines is a log that several goroutines write.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSpace(l.buf.String()), "\n")
}

func logged(l *lines) func(*Options) {
	return func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(l, nil)) }
}

// overwrite writes a file in place, in one go.
func overwrite(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A file that is empty, or holds comments alone, is not "nothing declared": what is in
// force stays, a client sees no removal, and status says which file.
func TestAnEmptyFileTakesNothingAway(t *testing.T) {
	t.Parallel()
	for what, content := range map[string]string{"empty": "", "comments": "# nothing\n"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			one := shop()
			whole := one["broker.yaml"] + "---\n" + one["topics.yaml"] + "---\n" + one["subs.yaml"]
			edit(t, dir, map[string]string{"all.yaml": whole})
			cp := launch(t, dir, nil)
			wait(t, "ready", cp.Ready())
			s := connect(t, cp, "billing")
			resp := s.subscribe(xds.TypeListener, "*")
			expect(t, resp, xds.TypeListener, "subscription/shop/billing")
			s.ack(resp)

			overwrite(t, dir, "all.yaml", content)
			eventually(t, "the empty file is a problem", func() bool { return len(getStatus(t, cp, "").GetProblems()) == 1 })
			got := getStatus(t, cp, "")
			if p := got.GetProblems()[0]; p.GetFile() != "all.yaml" || !strings.Contains(p.GetMessage(), "is empty") {
				t.Errorf("got %v", p)
			}
			if n := len(got.GetObjects()); n != 5 {
				t.Errorf("%d objects are in force, want 5", n)
			}
			overwrite(t, dir, "all.yaml", strings.Replace(whole, "prefetch: 64", "prefetch: 32", 1))
			expect(t, s.next(), xds.TypeListener, "subscription/shop/billing") // and no removal before
		})
	}
}

// Partitions do not change by way of a set in between that lacks the topic.
func TestPartitionsDoNotChangeByWayOfADeletion(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	start := time.Unix(1000, 0)
	var log lines
	dir := shopDir(t)
	topic := func(count int) map[string]string {
		return map[string]string{"sharded.yaml": strings.Replace(topicYAML("sharded"), "spec: {", fmt.Sprintf("spec: {partitions: {count: %d}, ", count), 1)}
	}
	edit(t, dir, topic(8))
	cp := launch(t, dir, func(o *Options) {
		logged(&log)(o)
		o.Now = func() time.Time { return start.Add(time.Duration(clock.Load())) }
		o.Poll = 20 * time.Millisecond
	})
	wait(t, "ready", cp.Ready())
	declared := func() bool {
		for _, o := range getStatus(t, cp, "").GetObjects() {
			if o.GetName() == "sharded" {
				return true
			}
		}
		return false
	}

	if err := os.Remove(filepath.Join(dir, "sharded.yaml")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the topic is deleted", func() bool { return !declared() })
	if !strings.Contains(strings.Join(log.all(), "\n"), "waiting until the directory is still") {
		t.Error("the log does not say that a deletion waits")
	}
	edit(t, dir, topic(16))
	eventually(t, "the new count is refused", func() bool { return len(getStatus(t, cp, "").GetProblems()) == 1 })
	const want = "is 16, but the topic is in force with 8"
	p := getStatus(t, cp, "").GetProblems()[0].GetMessage()
	if !strings.Contains(p, want) || !strings.Contains(p, "comes into force by itself after 00:21:40 UTC") {
		t.Errorf("got %q", p)
	}
	clock.Store(int64(declare.TombstoneLife - time.Second))
	edit(t, dir, map[string]string{"routes.yaml": routeYAML(50, 50)})
	eventually(t, "it is refused to the end", func() bool { return len(getStatus(t, cp, "").GetProblems()) == 1 })
	clock.Store(int64(2 * declare.TombstoneLife))
	eventually(t, "it comes into force by itself", func() bool { return len(getStatus(t, cp, "").GetProblems()) == 0 && declared() })
	if n := strings.Count(strings.Join(log.all(), "\n"), "configuration refused"); n > 2 {
		t.Errorf("%d refusals of two sets are logged", n)
	}
}

func TestADeletedTopicMayComeBackAsItWas(t *testing.T) {
	t.Parallel()
	dir := shopDir(t)
	topic := map[string]string{"sharded.yaml": strings.Replace(topicYAML("sharded"), "spec: {", "spec: {partitions: {count: 8}, ", 1)}
	edit(t, dir, topic)
	cp := launch(t, dir, nil)
	wait(t, "ready", cp.Ready())
	before := getStatus(t, cp, "").GetVersion()
	if err := os.Remove(filepath.Join(dir, "sharded.yaml")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the topic is deleted", func() bool { return getStatus(t, cp, "").GetVersion() != before })
	edit(t, dir, topic)
	eventually(t, "it is back", func() bool { return getStatus(t, cp, "").GetVersion() == before })
}

// While a deletion waits, the object's status says so; it is in force.
func TestStatusSaysWhatWaits(t *testing.T) {
	t.Parallel()
	dir := shopDir(t)
	cp := launch(t, dir, nil)
	wait(t, "ready", cp.Ready())
	edit(t, dir, map[string]string{"subs.yaml": subYAML("billing", 64)})
	eventually(t, "the status says so", func() bool {
		for _, o := range getStatus(t, cp, "").GetObjects() {
			if o.GetName() == "audit" {
				c := condition(o, "Accepted")
				return c.GetStatus() == "True" && strings.Contains(c.GetMessage(), "is not declared any more: it comes into force when")
			}
		}
		return false
	})
	eventually(t, "it goes", func() bool { return len(getStatus(t, cp, "").GetObjects()) == 5 })
}

func TestManyProblemsAreFewLines(t *testing.T) {
	t.Parallel()
	var log lines
	dir := t.TempDir()
	for i := range 10 {
		var b strings.Builder
		for j := range 100 {
			b.WriteString(strings.Replace(topicYAML(fmt.Sprintf("t%d-%d", i, j)), "brokerRef", "brokerref", 1) + "---\n")
		}
		edit(t, dir, map[string]string{fmt.Sprintf("f%d.yaml", i): b.String()})
	}
	_, problems := Check(dir)
	if len(problems) < 1000 {
		t.Fatalf("only %d problems", len(problems))
	}
	cp := launch(t, dir, logged(&log))
	eventually(t, "the problems show", func() bool { return len(getStatus(t, cp, "").GetProblems()) > 0 })
	if n := len(getStatus(t, cp, "").GetProblems()); n != status.MaxProblems+1 && n != len(problems) {
		t.Errorf("%d problems are shown of %d", n, len(problems))
	}
	if got := log.all(); len(got) > 30 {
		t.Errorf("%d lines for %d problems; the last: %s", len(got), len(problems), got[len(got)-1])
	}
}
