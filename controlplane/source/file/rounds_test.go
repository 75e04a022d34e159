package file

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
)

// The gate runs with 1,000 and 40, without the race detector, which makes a round five
// times as dear.
var (
	rounds     = flag.Int("rounds", 100, "how often each way of changing files is tried on the virtual clock")
	realRounds = flag.Int("real-rounds", 5, "how often each is tried on the real clock")
)

// whole are the files of one version. Cut anywhere they declare less, or nothing.
func whole(version int) map[string]string {
	topic := func(name string) string {
		return fmt.Sprintf("%skind: EventTopic\nmetadata: {name: %s}\nspec:\n  brokerRef: {name: main}\n  routingKey: v%d\n  exchange:\n    name: %s-%d\n  publish:\n    maxEventBytes: %d\n",
			head, name, version, name, version, 100_000+version)
	}
	return map[string]string{"a.yaml": topic("a1") + "---\n" + topic("a2"), "b.yaml": topic("b1") + "---\n" + topic("b2")}
}

// rewriter changes the files of a directory from one version to the next.
type rewriter struct {
	t     testing.TB
	dir   string
	rand  *rand.Rand
	pause func(name string) // after each step, tells that the file changed
}

func (w *rewriter) must(err error) {
	if err != nil {
		w.t.Error(err)
	}
}

// pieces writes a file in place: truncated, then in up to four pieces.
func (w *rewriter) pieces(name, content string) {
	w.must(os.WriteFile(filepath.Join(w.dir, name), nil, 0o600))
	w.pause(name)
	for left := 1 + w.rand.IntN(4); content != ""; left-- {
		n := len(content)
		if left > 1 {
			n = 1 + w.rand.IntN(n)
		}
		f, err := os.OpenFile(filepath.Join(w.dir, name), os.O_WRONLY|os.O_APPEND, 0)
		w.must(err)
		_, err = f.WriteString(content[:n])
		w.must(errors.Join(err, f.Close()))
		content = content[n:]
		w.pause(name)
	}
}

func (w *rewriter) rename(name, content string) {
	beside := filepath.Join(w.dir, "."+name+".swp")
	w.must(os.WriteFile(beside, []byte(content), 0o600))
	w.must(os.Rename(beside, filepath.Join(w.dir, name)))
	w.pause(name)
}

// ways are how people and programs change files.
var ways = map[string]func(w *rewriter, version int){
	"truncated and written in pieces": func(w *rewriter, version int) {
		for _, name := range []string{"a.yaml", "b.yaml"} {
			w.pieces(name, whole(version)[name])
		}
	},
	"removed and copied": func(w *rewriter, version int) {
		for name := range whole(version) {
			w.must(os.Remove(filepath.Join(w.dir, name)))
			w.pause(name)
		}
		for name, content := range whole(version) {
			w.pieces(name, content)
		}
	},
	"written beside and renamed": func(w *rewriter, version int) {
		for name, content := range whole(version) {
			w.rename(name, content)
		}
	},
	"moved away and written, as vim does": func(w *rewriter, version int) {
		for name, content := range whole(version) {
			path := filepath.Join(w.dir, name)
			w.must(os.Rename(path, path+"~"))
			w.pause(name)
			w.pieces(name, content)
		}
	},
	"a volume's link swapped": func(w *rewriter, version int) {
		revision := fmt.Sprintf("..%d", version)
		w.must(os.Mkdir(filepath.Join(w.dir, revision), 0o700))
		for name, content := range whole(version) {
			w.must(os.WriteFile(filepath.Join(w.dir, revision, name), []byte(content), 0o600))
		}
		w.must(os.Symlink(revision, filepath.Join(w.dir, "..data_tmp")))
		w.must(os.Rename(filepath.Join(w.dir, "..data_tmp"), filepath.Join(w.dir, "..data")))
		for name := range whole(version) { // the first time they are files
			if info, err := os.Lstat(filepath.Join(w.dir, name)); err == nil && info.Mode().IsRegular() {
				w.must(os.Remove(filepath.Join(w.dir, name)))
				w.must(os.Symlink("..data/"+name, filepath.Join(w.dir, name)))
			}
		}
		w.pause("..data")
		w.must(os.RemoveAll(filepath.Join(w.dir, fmt.Sprintf("..%d", version-1))))
	},
	"mended in place after a typo": func(w *rewriter, version int) {
		w.rename("a.yaml", strings.Replace(whole(version)["a.yaml"], "routingKey", "routingkey", 1))
		w.pieces("a.yaml", whole(version)["a.yaml"])
		w.pieces("b.yaml", whole(version)["b.yaml"])
	},
}

// judge says what is wrong with a set in force: each topic is whole, as one of the
// last two versions has it.
func judge(set declare.Set, version int) string {
	found := map[string]bool{}
	for i := range set.Objects {
		topic := set.Objects[i].Value.(*v1alpha1.EventTopic)
		whole := false
		for _, v := range []int{version - 1, version} {
			whole = whole || topic.Spec.RoutingKey == fmt.Sprintf("v%d", v) && int(*topic.Spec.Publish.MaxEventBytes) == 100_000+v &&
				topic.Spec.Exchange.Name == fmt.Sprintf("%s-%d", topic.Name, v)
		}
		if !whole {
			return fmt.Sprintf("%s is half: %+v, publish %+v", topic.Name, topic.Spec, topic.Spec.Publish)
		}
		found[topic.Name] = true
	}
	if len(found) != 4 {
		return fmt.Sprintf("there are only %v", found)
	}
	return ""
}

// Nothing of a change comes into force in part, however slowly it is written: on a
// virtual clock, so that every pause below a second is tried.
func TestChangesOfEachKindNeverShowAHalf(t *testing.T) {
	t.Parallel()
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, b *bubble) { manyRounds(t, b, way, *rounds) })
		})
	}
}

func manyRounds(t *testing.T, b *bubble, way func(*rewriter, int), rounds int) {
	version, refused, applied := 0, 0, 0
	var last []string
	b.states = make(chan state, 1<<16)
	b.judge = func(set declare.Set, problems []declare.Problem) Verdict {
		if len(problems) > 0 {
			refused++
			return Refused
		}
		if bad := judge(set, version); version > 0 && bad != "" {
			t.Errorf("round %d: %s", version, bad)
		}
		applied, last = applied+1, stateOf(set, nil).keys
		return InForce
	}
	w := &rewriter{t: t, dir: b.dir, rand: rand.New(rand.NewPCG(1, 2))} //nolint:gosec // repeatable
	pauses := []time.Duration{0, 0, time.Millisecond, 15 * time.Millisecond, 50 * time.Millisecond, 300 * time.Millisecond, 990 * time.Millisecond}
	w.pause = func(name string) {
		b.tell(name)
		<-time.After(pauses[w.rand.IntN(len(pauses))]) // virtual time
		synctest.Wait()
	}
	// The first set is another's, and the first version takes its place.
	for name, content := range whole(0) {
		write(t, b.dir, name, content)
		b.tell(name)
	}
	<-time.After(5 * time.Second) // virtual time
	synctest.Wait()
	for range rounds {
		version++
		way(w, version)
		<-time.After(3 * time.Second) // virtual time
		synctest.Wait()
		for _, key := range last {
			if !strings.HasSuffix(key, fmt.Sprintf("=v%d", version)) {
				t.Fatalf("round %d: in force is %v", version, last)
			}
		}
		for len(b.states) > 0 {
			<-b.states
		}
	}
	t.Logf("%d rounds: %d sets came into force, %d were refused", rounds, applied, refused)
}

// The same with a real watcher on a busy machine, all kinds at a time. Only Still is
// longer than it is by default: a machine that stops for a second is no fault.
func TestRealChangesOnABusyMachineNeverShowAHalf(t *testing.T) {
	t.Parallel()
	busy, idle := context.WithCancel(t.Context())
	for range runtime.GOMAXPROCS(0) {
		go func() {
			for busy.Err() == nil {
				_, _ = Decode(File{"a.yaml", []byte(whole(1)["a.yaml"])})
			}
		}()
	}
	t.Cleanup(idle)
	t.Run("kinds", func(t *testing.T) {
		for name, way := range ways {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				realChanges(t, way)
			})
		}
	})
}

func realChanges(t *testing.T, way func(*rewriter, int)) {
	dir := t.TempDir()
	for name, content := range whole(0) {
		write(t, dir, name, content)
	}
	var version atomic.Int64
	inForce := make(chan []string, 1024)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- New(Options{Dir: dir, Still: time.Hour, Poll: time.Hour}).Run(ctx, func(set declare.Set, problems []declare.Problem) Verdict {
			if len(problems) > 0 {
				return Refused
			}
			if bad := judge(set, int(version.Load())); bad != "" {
				t.Errorf("round %d: %s", version.Load(), bad)
			}
			inForce <- stateOf(set, nil).keys
			return InForce
		})
	}()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	w := &rewriter{t: t, dir: dir, rand: rand.New(rand.NewPCG(3, 4))} //nolint:gosec // repeatable
	w.pause = func(string) { <-time.After(time.Duration(w.rand.IntN(30)) * time.Millisecond) }
	<-inForce
	for range *realRounds {
		v := version.Add(1)
		way(w, int(v))
		deadline := time.After(time.Minute)
		for want := fmt.Sprintf("=v%d", v); ; {
			select {
			case keys := <-inForce:
				if !slices.ContainsFunc(keys, func(k string) bool { return !strings.HasSuffix(k, want) }) {
					want = ""
				}
			case <-deadline:
				t.Fatalf("round %d never came into force", v)
			}
			if want == "" {
				break
			}
		}
	}
}
