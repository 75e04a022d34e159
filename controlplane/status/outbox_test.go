package status

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenmesh/warren/api/v1alpha1"
)

// statusOf is the status of a topic, which says a word.
func statusOf(name, word string) Object {
	c := v1alpha1.Condition{Type: v1alpha1.ConditionProgrammed, Status: v1alpha1.ConditionTrue, Message: word}
	return Object{Name: v1alpha1.ObjectName{Kind: v1alpha1.KindEventTopic, Namespace: "shop", Name: name}, Conditions: []v1alpha1.Condition{c}}
}

// desk writes down what an outbox writes, on virtual time.
type desk struct {
	*Outbox
	start time.Time

	lock  sync.Mutex      // guards what follows
	got   []string        // "name=word"
	at    []time.Duration // when
	judge judge
	logs  bytes.Buffer
}

// judge says what becomes of a write.
type judge func(ctx context.Context, text string) error

func accepts(context.Context, string) error { return nil }

// Write implements Writer.
func (d *desk) Write(ctx context.Context, o Object) error {
	text := o.Name.Name + "=" + o.Conditions[0].Message
	d.lock.Lock()
	d.got, d.at = append(d.got, text), append(d.at, time.Since(d.start))
	judge := d.judge
	d.lock.Unlock()
	return judge(ctx, text)
}

func (d *desk) setJudge(j judge) {
	d.lock.Lock()
	defer d.lock.Unlock()
	d.judge = j
}

// deskLog is the desk's log.
type deskLog struct{ *desk }

func (l deskLog) Write(p []byte) (int, error) {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.logs.Write(p)
}

func (l deskLog) String() string {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.logs.String()
}

func atDesk(t *testing.T, test func(t *testing.T, d *desk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &desk{start: time.Now(), judge: accepts}
		d.Outbox = NewOutbox(OutboxOptions{Writer: d, Logger: slog.New(slog.NewTextHandler(deskLog{d}, nil))})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- d.Run(ctx) }()
		test(t, d)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// take lets time pass, on the virtual clock, and returns what was written since the
// last take, and when.
func (d *desk) take(after time.Duration) (got []string, at []time.Duration) {
	<-time.After(after)
	synctest.Wait()
	d.lock.Lock()
	defer d.lock.Unlock()
	got, at = d.got, d.at
	d.got, d.at = nil, nil
	return got, at
}

func (d *desk) expect(t *testing.T, after time.Duration, want ...string) {
	t.Helper()
	if got, _ := d.take(after); !slices.Equal(got, want) {
		t.Errorf("after %v: got %v, want %v", time.Since(d.start), got, want)
	}
}

func TestAChangeOfStatusIsWrittenOnce(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		for range 5 {
			d.Offer([]Object{statusOf("a", "1"), statusOf("b", "1")})
		}
		d.expect(t, time.Minute, "a=1", "b=1")
		d.Offer([]Object{statusOf("a", "1"), statusOf("b", "2")})
		d.expect(t, time.Minute, "b=2")

		// The time of a transition alone is no change; a count of sidecars or another
		// generation is.
		later := statusOf("a", "1")
		later.Conditions[0].LastTransitionTime.Time = time.Now()
		d.Offer([]Object{later, statusOf("b", "2")})
		d.expect(t, time.Minute)
		counted, observed := statusOf("a", "1"), statusOf("b", "2")
		counted.Progress.Acked, observed.Conditions[0].ObservedGeneration = 7, 2
		d.Offer([]Object{counted, observed})
		d.expect(t, time.Minute, "a=1", "b=2")
	})
}

func TestWhatChangesOftenIsWrittenOnceAnInterval(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		for i := range 100 { // ten seconds
			d.Offer([]Object{statusOf("a", fmt.Sprint(i))})
			<-time.After(100 * time.Millisecond)
		}
		got, at := d.take(0)
		if n := len(got); n < 10 || n > 11 {
			t.Fatalf("%d writes in ten seconds: %v", n, got)
		}
		for i := range at[1:] {
			if since := at[i+1] - at[i]; since < time.Second {
				t.Errorf("write %d came %v after the one before", i+1, since)
			}
		}
		d.take(time.Second)
		d.Offer([]Object{statusOf("a", "end")})
		d.expect(t, time.Minute, "a=end")
		// A change that is taken back before its turn is none.
		d.Offer([]Object{statusOf("a", "x")})
		d.expect(t, 0, "a=x")
		d.Offer([]Object{statusOf("a", "y")})
		d.Offer([]Object{statusOf("a", "x")})
		d.expect(t, time.Minute)
	})
}

func TestManyObjectsAreWrittenAtTheirPace(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		var all []Object
		for i := range 1000 {
			all = append(all, statusOf(fmt.Sprintf("t%d", i), "1"))
		}
		d.Offer(all)
		first, _ := d.take(10 * time.Second)
		if n := len(first); n < 540 || n > 551 { // a second's worth at once, then 50 a second
			t.Errorf("%d writes in ten seconds", n)
		}
		if rest, _ := d.take(20 * time.Second); len(first)+len(rest) != 1000 {
			t.Errorf("%d writes in the end, want 1000", len(first)+len(rest))
		}
	})
}

func TestASlowWriterHoldsUpNothingAndGetsTheNewest(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		release := make(chan struct{})
		d.setJudge(func(context.Context, string) error { <-release; return nil })
		d.Offer([]Object{statusOf("a", "first"), statusOf("b", "first")})
		synctest.Wait()
		began := time.Now()
		for i := range 10_000 {
			d.Offer([]Object{statusOf("a", fmt.Sprint(i)), statusOf("b", fmt.Sprint(i))})
		}
		passed := time.Since(began)
		d.mu.Lock()
		due := len(d.due)
		d.mu.Unlock()
		if passed > 0 || due > 2 {
			t.Errorf("offering took %v, %d are due of two objects", passed, due)
		}
		close(release)
		d.expect(t, time.Minute, "a=first", "b=9999", "a=9999")
	})
}

func TestAWriterThatHangsIsCutOff(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		d.setJudge(func(ctx context.Context, text string) error {
			if text == "a=1" {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		d.Offer([]Object{statusOf("a", "1"), statusOf("b", "1")})
		d.expect(t, 10*time.Second, "a=1", "b=1")
		d.Offer([]Object{statusOf("a", "2"), statusOf("b", "1")})
		d.expect(t, time.Minute, "a=2")
	})
}

func TestAFailedWriteIsTriedAgainWithTheNewest(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		d.setJudge(func(_ context.Context, text string) error {
			if strings.HasPrefix(text, "a=") {
				return errors.New("conflict")
			}
			return nil
		})
		d.Offer([]Object{statusOf("a", "1"), statusOf("b", "1")})
		got, _ := d.take(time.Hour)
		tries := slices.DeleteFunc(slices.Clone(got), func(text string) bool { return text != "a=1" })
		// After 1, 2, 4, 8, 16 and 32 seconds, then once a minute.
		if n := len(tries); n < 60 || n > 68 || !slices.Contains(got, "b=1") {
			t.Errorf("%d tries in an hour; written: %v", n, got)
		}
		if lines := strings.Count(deskLog{d}.String(), "could not be written"); lines == 0 || lines > len(tries) {
			t.Errorf("%d lines for %d tries", lines, len(tries))
		}
		d.Offer([]Object{statusOf("a", "2"), statusOf("b", "2")})
		if got, _ := d.take(2 * time.Second); !slices.Contains(got, "b=2") {
			t.Errorf("another object's failures hold b up: %v", got)
		}
		d.take(time.Minute)
		d.setJudge(accepts)
		d.expect(t, time.Minute+time.Second, "a=2")
		d.expect(t, time.Hour)
	})
}

// What an error left behind is not known, so even what was written before is written
// again.
func TestAfterAnErrorTheOldStatusIsWrittenAgain(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		d.setJudge(func(_ context.Context, text string) error {
			if text == "a=2" {
				return errors.New("cut off")
			}
			return nil
		})
		d.Offer([]Object{statusOf("a", "1")})
		d.expect(t, time.Minute, "a=1")
		d.Offer([]Object{statusOf("a", "2")})
		synctest.Wait()
		d.Offer([]Object{statusOf("a", "1")})
		d.expect(t, time.Minute, "a=2", "a=1")
	})
}

func TestWhatIsDeclaredNoLongerIsNotWritten(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		release := make(chan struct{})
		d.setJudge(func(context.Context, string) error { <-release; return errors.New("gone") })
		d.Offer([]Object{statusOf("a", "1"), statusOf("b", "1"), statusOf("c", "1")})
		synctest.Wait() // a is being written, b and c wait for their turn
		d.Offer([]Object{statusOf("c", "2")})
		d.setJudge(accepts)
		close(release)
		d.expect(t, time.Minute, "a=1", "c=2")
		d.Offer(nil)
		d.expect(t, time.Minute)
		// Declared anew, it is another object.
		d.Offer([]Object{statusOf("c", "2")})
		d.expect(t, time.Minute, "c=2")
	})
}

func TestAnOutboxStopsWhileItPauses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, at := range []time.Duration{0, 10 * time.Millisecond, 500 * time.Millisecond, time.Hour} {
			n := 0
			o := NewOutbox(OutboxOptions{PerSecond: 1, Writer: WriterFunc(func(context.Context, Object) error { n++; return nil })})
			ctx, cancel := context.WithTimeout(t.Context(), at)
			o.Offer([]Object{statusOf("a", "1"), statusOf("b", "1")})
			if err := o.Run(ctx); err != nil {
				t.Error(err)
			}
			cancel()
			if want := 1; at == time.Hour {
				if n != 2 {
					t.Errorf("%d writes in an hour", n)
				}
			} else if n > want {
				t.Errorf("%d writes in %v", n, at)
			}
		}
	})
}

func TestStatusesAreLoggedAtLevelDebug(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o := statusOf("orders", "acknowledged by 2 of 2 sidecars")
	if err := LogWriter(logger).Write(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	want := `level=DEBUG msg="status of an object changed" object="EventTopic shop/orders" programmed.status=True programmed.reason="" programmed.message="acknowledged by 2 of 2 sidecars"`
	if !strings.Contains(log.String(), want) {
		t.Errorf("got %s, want %s", log.String(), want)
	}
}

// Every observation is offered.
func TestAStateOffersWhatItObserves(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		w := newWorld()
		w.opts.Outbox = d.Outbox
		w.Accept(serving("a", orders(1)))
		w.Observe()
		w.Observe()
		d.expect(t, time.Minute, "orders=")
		w.Accept(serving("b", orders(2)))
		w.Observe()
		d.expect(t, time.Minute, "orders=")
	})
}
