package file

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/warrenmesh/warren/controlplane/declare"
)

// bubble runs the loop of a source on virtual time, with hand-made events.
type bubble struct {
	dir    string
	events chan fsnotify.Event
	poll   chan time.Time
	states chan state
	waits  [][]Loss // what Options.Waiting was told
	start  time.Time
	judge  func(declare.Set, []declare.Problem) Verdict
}

func inBubble(t *testing.T, run func(t *testing.T, b *bubble)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{
			dir: t.TempDir(), events: make(chan fsnotify.Event), poll: make(chan time.Time), states: make(chan state, 64), start: time.Now(),
			judge: func(_ declare.Set, problems []declare.Problem) Verdict { return verdictOn(problems) },
		}
		write(t, b.dir, "a.yaml", topicYAML("a", "0"))
		s := New(Options{Dir: b.dir, Waiting: func(losses []Loss) { b.waits = append(b.waits, losses) }})
		s.apply = func(set declare.Set, problems []declare.Problem) Verdict {
			b.states <- stateOf(set, problems)
			return b.judge(set, problems)
		}
		s.read(quiet)
		<-b.states
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.loop(ctx, inputs{events: b.events, poll: b.poll, rewatch: func() {}})
		}()
		run(t, b)
		cancel()
		<-done
	})
}

// change writes a.yaml and tells the loop.
func (b *bubble) change(t *testing.T, content string) {
	b.changeFile(t, "a.yaml", content)
}

func (b *bubble) changeFile(t *testing.T, name, content string) {
	write(t, b.dir, name, content)
	b.tell(name)
}

// tell says that something about a file changed.
func (b *bubble) tell(name string) {
	b.events <- fsnotify.Event{Name: filepath.Join(b.dir, name), Op: fsnotify.Write}
	synctest.Wait()
}

func (b *bubble) remove(t *testing.T, name string) {
	if err := os.Remove(filepath.Join(b.dir, name)); err != nil {
		t.Fatal(err)
	}
	b.tell(name)
}

// expect checks that exactly one state came, after the time given.
func (b *bubble) expect(t *testing.T, after time.Duration, keys ...string) {
	t.Helper()
	s := <-b.states
	if got := time.Since(b.start); got != after || !slices.Equal(s.keys, keys) {
		t.Errorf("got %v after %v, want %v after %v", s.keys, got, keys, after)
	}
	if len(b.states) > 0 {
		t.Errorf("more came at once: %+v", <-b.states)
	}
}

// nothing checks that no state came.
func (b *bubble) nothing(t *testing.T) {
	t.Helper()
	if len(b.states) > 0 {
		t.Errorf("after %v came %+v", time.Since(b.start), <-b.states)
	}
}

func TestAFileThatDeclaresNothingIsAProblem(t *testing.T) {
	t.Parallel()
	for what, content := range map[string]string{
		"no bytes": "", "a line break": "\n", "comments": "# orders\n# more\n", "an empty document": "---\n", "two of them": "---\n# none\n---\n", "null": "null\n", "a byte order mark": "\ufeff",
	} {
		set, problems := Decode(File{"a.yaml", []byte(topicYAML("a", "k"))}, File{"b.yaml", []byte(content)})
		if len(problems) != 1 || !strings.HasPrefix(problems[0].String(), "b.yaml: is empty") || !set.Incomplete {
			t.Errorf("%s: got %v", what, problems)
		}
	}
	if _, problems := Decode(File{"a.yaml", []byte("# head\n---\n---\n" + topicYAML("a", "k") + "---\n# end\n")}); len(problems) > 0 {
		t.Errorf("empty documents beside an object: %v", problems)
	}
}

func TestHalfOfAReplacementIsNotHandedOn(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bubble) {
		b.change(t, "")
		<-time.After(10 * time.Millisecond) // virtual time
		b.change(t, topicYAML("a", "1"))
		b.expect(t, 30*time.Millisecond, "a=1")
	})
}

func TestWhatTakesAwayWaitsForASecondOfStillness(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bubble) {
		b.changeFile(t, "b.yaml", topicYAML("b", "0"))
		b.expect(t, 0, "a=0", "b=0")
		<-time.After(time.Minute) // virtual time
		at := time.Since(b.start)
		b.remove(t, "b.yaml")
		b.expect(t, at+time.Second, "a=0")
		synctest.Wait()
		if len(b.waits) != 2 || b.waits[0][0].String() != "EventTopic default/b is not declared any more" || b.waits[1] != nil {
			t.Errorf("Waiting was told %v", b.waits)
		}
		// It is in force now: nothing waits for it any more.
		b.change(t, topicYAML("a", "1"))
		b.expect(t, at+time.Second, "a=1")
	})
}

// What is lost may be an object, a field of one, or the end of a line.
func TestWhatMayBeHalfOfAFileWaits(t *testing.T) {
	t.Parallel()
	first, second := topicYAML("a", "12"), topicYAML("b", "34")
	spread := head + "kind: EventTopic\nmetadata: {name: b}\nspec:\n  brokerRef: {name: main}\n  routingKey: \"34\"\n  partitions:\n    count: 16\n"
	for name, c := range map[string]struct{ whole, part, want string }{
		"without its last object": {first + "---\n" + second, first, "EventTopic default/b is not declared any more"},
		"without its last fields": {first + "---\n" + spread, first + "---\n" + strings.Split(spread, "  partitions")[0], "EventTopic default/b does not set spec.partitions any more"},
		"within its last number":  {first + "---\n" + spread, first + "---\n" + strings.TrimSuffix(spread, "6\n"), "a.yaml ends without a line break"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, b *bubble) {
				b.change(t, c.whole)
				b.expect(t, 0, "a=12", "b=34")
				<-time.After(time.Minute) // virtual time
				b.change(t, c.part)
				<-time.After(999 * time.Millisecond) // virtual time
				b.nothing(t)
				if len(b.waits) != 1 || b.waits[0][0].String() != c.want {
					t.Errorf("Waiting was told %v, want %s", b.waits, c.want)
				}
				b.change(t, c.whole)
				<-time.After(time.Minute) // virtual time
				b.nothing(t)              // it is what is in force
			})
		})
	}
}

func TestChangesWithoutEndNeverTakeAway(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bubble) {
		b.changeFile(t, "b.yaml", topicYAML("b", "0"))
		b.expect(t, 0, "a=0", "b=0")
		<-time.After(time.Minute) // virtual time
		b.remove(t, "b.yaml")
		for range 20 { // far beyond Limit, and beyond a second as well
			<-time.After(300 * time.Millisecond) // virtual time
			b.change(t, topicYAML("a", time.Since(b.start).String()))
		}
		b.nothing(t)
		// The second begins with the last change, also when it is told again.
		for range 10 {
			<-time.After(90 * time.Millisecond) // virtual time
			b.tell("a.yaml")
			b.nothing(t)
		}
		b.expect(t, time.Minute+7*time.Second, "a=1m6s")
	})
}

// A set that was refused is not what the next one is compared with.
func TestAfterARefusalWhatIsInForceIsCompared(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bubble) {
		two := topicYAML("a", "0") + "---\n" + topicYAML("b", "0")
		b.change(t, two)
		b.expect(t, 0, "a=0", "b=0")
		<-time.After(time.Minute)   // virtual time
		b.change(t, two+"---\n{\n") // a typo
		b.expect(t, time.Minute+20*time.Millisecond, "a=0", "b=0")
		<-time.After(time.Minute)            // virtual time
		b.change(t, topicYAML("a", "0"))     // half of the mended file
		<-time.After(900 * time.Millisecond) // virtual time
		b.nothing(t)
		b.change(t, topicYAML("a", "1")+"---\n"+topicYAML("b", "1"))
		synctest.Wait()
		if s := <-b.states; !slices.Equal(s.keys, []string{"a=1", "b=1"}) {
			t.Errorf("got %v, want the mended set", s.keys)
		}
	})
}

func TestASetRefusedForAReasonThatPassesIsTriedWithEachPoll(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bubble) {
		verdict := RefusedYet
		b.judge = func(declare.Set, []declare.Problem) Verdict { return verdict }
		b.change(t, topicYAML("a", "1"))
		b.expect(t, 0, "a=1")
		b.tell("a.yaml")          // a change of nothing tries nothing again
		<-time.After(time.Minute) // virtual time
		b.nothing(t)
		for i, v := range []Verdict{RefusedYet, InForce} {
			verdict = v
			b.poll <- time.Now()
			synctest.Wait()
			b.expect(t, time.Minute+time.Duration(i)*time.Minute, "a=1")
			<-time.After(time.Minute) // virtual time
		}
		b.poll <- time.Now()
		<-time.After(time.Minute) // virtual time
		b.nothing(t)
	})
}

func TestAllFilesGoneIsAProblem(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bubble) {
		b.remove(t, "a.yaml")
		s := <-b.states
		if len(s.problems) != 1 || !strings.Contains(s.problems[0].Message, "holds no *.yaml") {
			t.Errorf("got %+v", s)
		}
		b.change(t, topicYAML("a", "1"))
		if s := <-b.states; !slices.Equal(s.keys, []string{"a=1"}) {
			t.Errorf("got %v", s.keys)
		}
	})
}
