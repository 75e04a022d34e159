package rig

import (
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestATrialEndsAtFatalAndRunsItsCleanupsInReverse(t *testing.T) {
	t.Parallel()
	var order []string
	tr := &trial{ctx: t.Context()}
	failures := tr.run(func() {
		tr.Cleanup(func() { order = append(order, "first") })
		tr.Cleanup(func() {
			tr.Cleanup(func() { order = append(order, "added") })
			tr.Fatalf("in %s", "cleanup")
		})
		tr.Errorf("goes on")
		tr.Fatal("ends")
		order = append(order, "never")
	})
	if want := "added first"; strings.Join(order, " ") != want {
		t.Errorf("order %v, want %s", order, want)
	}
	if want := "goes on|ends|in cleanup"; strings.Join(failures, "|") != want {
		t.Errorf("failures %q, want %s", failures, want)
	}
	if got := (&trial{ctx: t.Context()}).run(func() { panic("broken") }); len(got) != 1 || !strings.Contains(got[0], "broken") {
		t.Errorf("a panic is the failure %q", got)
	}
}

func TestMemoryOfThisProcessIsMeasured(t *testing.T) {
	t.Parallel()
	rss, anon, err := memory(os.Getpid())
	if err != nil || rss < 1<<20 || anon == 0 || anon > rss {
		t.Errorf("rss %d, anonymous %d, %v", rss, anon, err)
	}
}
