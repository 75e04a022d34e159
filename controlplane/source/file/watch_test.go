package file

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
)

// state is what a source handed on, in brief.
type state struct {
	keys     []string // "name=routing key"
	problems []declare.Problem
}

func stateOf(set declare.Set, problems []declare.Problem) state {
	s := state{problems: problems}
	for _, o := range set.Objects {
		s.keys = append(s.keys, o.Value.GetName()+"="+o.Value.(*v1alpha1.EventTopic).Spec.RoutingKey)
	}
	return s
}

// verdictOn is that of a control plane.
func verdictOn(problems []declare.Problem) Verdict {
	if len(problems) > 0 {
		return Refused
	}
	return InForce
}

// watch runs a source on dir until the test ends and returns what it hands on.
// Polling is off, so that what arrives was noticed.
func watch(t *testing.T, dir string, poll time.Duration) <-chan state {
	t.Helper()
	states := make(chan state, 64)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- New(Options{Dir: dir, Poll: poll}).Run(ctx, func(set declare.Set, problems []declare.Problem) Verdict {
			states <- stateOf(set, problems)
			return verdictOn(problems)
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return states
}

// await reads states until one has the wanted keys and no problems. Others may
// come before: on a slow machine the halves of a replacement lie further apart
// than the source waits. TestHalfOfAReplacementIsNotHandedOn is exact about that.
func await(t *testing.T, states <-chan state, want ...string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case s := <-states:
			if len(s.problems) == 0 && slices.Equal(s.keys, want) {
				return
			}
		case <-deadline:
			t.Fatalf("the change to %v was never noticed", want)
		}
	}
}

func TestRunNoticesEveryWayAFileChanges(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a.yaml", topicYAML("a", "1"))
	states := watch(t, dir, time.Hour)
	await(t, states, "a=1")

	write(t, dir, "a.yaml", topicYAML("a", "2"))
	await(t, states, "a=2")
	replace(t, dir, "a.yaml", topicYAML("a", "3"))
	await(t, states, "a=3")
	replace(t, dir, "a.yaml", topicYAML("a", "4"))
	await(t, states, "a=4")
	write(t, dir, "b.yaml", topicYAML("b", "1"))
	await(t, states, "a=4", "b=1")
	if err := os.Remove(filepath.Join(dir, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	await(t, states, "b=1")
	// As vim does by default: the old file moves away before the new one is there.
	if err := os.Rename(filepath.Join(dir, "b.yaml"), filepath.Join(dir, "b.yaml~")); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "b.yaml", topicYAML("b", "2"))
	await(t, states, "b=2")
}

func TestRunNoticesTheSwapOfAKubernetesVolume(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	publish := func(revision, key string) {
		if err := os.Mkdir(filepath.Join(dir, revision), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, revision), "a.yaml", topicYAML("a", key))
		if err := os.Symlink(revision, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	publish("..1", "1")
	if err := os.Symlink("..data/a.yaml", filepath.Join(dir, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	states := watch(t, dir, time.Hour)
	await(t, states, "a=1")
	publish("..2", "2")
	await(t, states, "a=2")
}

func TestRunReportsABrokenFileOnceAndThenTheMendedOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a.yaml", topicYAML("a", "1"))
	states := watch(t, dir, 10*time.Millisecond)
	await(t, states, "a=1")
	replace(t, dir, "a.yaml", topicYAML("a", "{"))
	if s := <-states; len(s.problems) != 1 || s.problems[0].Field != "spec.routingKey" {
		t.Fatalf("got %+v, want one problem", s)
	}
	// Many polls pass while nothing changes; the next state is the mended one.
	mended := time.NewTimer(100 * time.Millisecond)
	defer mended.Stop()
	select {
	case s := <-states:
		t.Fatalf("the same content was handed on again: %+v", s)
	case <-mended.C:
	}
	replace(t, dir, "a.yaml", topicYAML("a", "2"))
	await(t, states, "a=2")
}

func TestRunFindsADirectoryThatComesBack(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "config")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "a.yaml", topicYAML("a", "1"))
	states := watch(t, dir, 10*time.Millisecond)
	await(t, states, "a=1")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if s := <-states; len(s.problems) != 1 {
		t.Fatalf("got %+v, want the problem that the directory is gone", s)
	}
	aside := dir + ".new"
	if err := os.Mkdir(aside, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, aside, "a.yaml", topicYAML("a", "2"))
	if err := os.Rename(aside, dir); err != nil {
		t.Fatal(err)
	}
	await(t, states, "a=2")
	replace(t, dir, "a.yaml", topicYAML("a", "3"))
	await(t, states, "a=3")
}

func TestTheFirstChangeGoesAtOnceAndTheNextAreGathered(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bubble) {
		b.change(t, topicYAML("a", "1"))
		b.expect(t, 0, "a=1")
		b.change(t, topicYAML("a", "2"))
		<-time.After(15 * time.Millisecond) // virtual time
		b.change(t, topicYAML("a", "3"))
		b.expect(t, 35*time.Millisecond, "a=3")
	})
}

func TestChangesWithoutEndAreReadAtTheLimit(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bubble) {
		b.change(t, topicYAML("a", "1"))
		b.expect(t, 0, "a=1")
		for range 13 { // the last one at 195ms
			<-time.After(15 * time.Millisecond) // virtual time
			b.change(t, topicYAML("a", "x"))
		}
		b.expect(t, 200*time.Millisecond, "a=x")
	})
}

func TestASetThatTakesLongIsGatheredLonger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := New(Options{Dir: dir})
		for i, c := range []struct{ takes, want time.Duration }{
			{0, 200 * time.Millisecond}, {40 * time.Millisecond, 200 * time.Millisecond}, {100 * time.Millisecond, 500 * time.Millisecond}, {time.Hour, 5 * time.Second},
		} {
			s.apply = func(declare.Set, []declare.Problem) Verdict { <-time.After(c.takes); return InForce } // virtual time
			write(t, dir, "a.yaml", topicYAML("a", fmt.Sprint(i)))
			s.read(quiet)
			if got := s.limit(); got != c.want {
				t.Errorf("a set that takes %v is gathered for %v, want %v", c.takes, got, c.want)
			}
		}
	})
}

func TestOtherFilesWakeNobody(t *testing.T) {
	t.Parallel()
	s := New(Options{Dir: "/etc/config/"})
	for name, want := range map[string]bool{
		"/etc/config/a.yaml": true, "/etc/config/a.yml": true, "/etc/config/..data": true, "/etc/config": true,
		"/etc/config/.a.yaml.swp": false, "/etc/config/4913": false, "/etc/config/a.yaml~": false,
	} {
		if got := s.concerns(fsnotify.Event{Name: name, Op: fsnotify.Create}); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	if s.concerns(fsnotify.Event{Name: "/etc/config/a.yaml", Op: fsnotify.Chmod}) {
		t.Error("a change of mode woke the loop")
	}
}
