package frame

import (
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

var (
	inputs  = flag.Float64("inputs", 5_000, "how many inputs TestFramesAreThoseOfTheLibrary makes")
	seed    = flag.Uint64("seed", 1, "of these inputs")
	workers = flag.Int("workers", 1, "how many goroutines make them, each others")
)

// writeEvery is how many inputs are read for each message that is written.
const writeEvery = 8

// everyProperty has each of them.
func everyProperty() *message.Properties {
	p := &message.Properties{
		ContentType: "a", ContentEncoding: "b", DeliveryMode: 2, Priority: 3, CorrelationID: "c", ReplyTo: "d", Expiration: "e",
		MessageID: "f", Timestamp: 4, Type: "g", UserID: "h", AppID: "i", ClusterID: "j",
	}
	p.Headers.AddText("k", "l")
	return p
}

// tally counts verdicts.
type tally [verdicts]atomic.Int64

func (t *tally) total() (n int64) {
	for i := range t {
		n += t[i].Load()
	}
	return n
}

func (t *tally) String() string {
	text := fmt.Sprintf("%d inputs", t.total())
	for i := range t {
		text += fmt.Sprintf(", %d %s", t[i].Load(), verdictNames[i])
	}
	return text
}

// TestFramesAreThoseOfTheLibrary compares how Warren and the library read streams of frames,
// whole and broken ones, and has the library read what Warren writes. make fuzz-frames makes
// it as long as you like. The same seed makes the same inputs.
func TestFramesAreThoseOfTheLibrary(t *testing.T) {
	t.Parallel()
	var counts tally
	began := time.Now()
	ended := make(chan struct{})
	var telling, working sync.WaitGroup
	if *inputs > 1e6 {
		telling.Go(func() { tell(&counts, began, ended) })
	}
	for worker := range *workers {
		working.Go(func() { frames(t, worker, int64(*inputs)/int64(*workers), &counts) })
	}
	working.Wait()
	close(ended)
	telling.Wait()
	t.Logf("seed %d: %s; %.0f inputs a second", *seed, &counts, float64(counts.total())/time.Since(began).Seconds())
	for i := range counts {
		if counts[i].Load() == 0 && *inputs >= 5_000 {
			t.Errorf("no input was %s: the comparison does not reach that", verdictNames[i])
		}
	}
}

func tell(counts *tally, began time.Time, ended <-chan struct{}) {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_, _ = fmt.Fprintf(os.Stderr, "%.0f s: %s\n", time.Since(began).Seconds(), counts)
		case <-ended:
			return
		}
	}
}

// frames compares n inputs of one worker.
func frames(t *testing.T, worker int, n int64, counts *tally) {
	m, c, w := newMaker(*seed, uint64(worker)), newComparer(), newRewriter() //nolint:gosec // a number
	for i := range n {
		if i%writeEvery == 0 {
			if why := w.write(m); why != "" {
				t.Errorf("worker %d, input %d: %s", worker, i, why)
				return
			}
			counts[written].Add(1)
			continue
		}
		in, sizes := m.stream()
		v, why := c.compare(in, sizes)
		if v == differ {
			t.Errorf("worker %d, input %d: %s\n%s", worker, i, why, hex.EncodeToString(clipped(in)))
			return
		}
		counts[v].Add(1)
	}
}

func FuzzFramesAreReadAsByTheLibrary(f *testing.F) {
	m := newMaker(1, 0)
	for range 64 {
		in, sizes := m.stream()
		f.Add(in, sizes)
	}
	var comparers = sync.Pool{New: func() any { return newComparer() }}
	f.Fuzz(func(t *testing.T, in, sizes []byte) {
		c, _ := comparers.Get().(*comparer)
		defer comparers.Put(c)
		if v, why := c.compare(in, sizes); v == differ {
			t.Error(why)
		}
	})
}

func FuzzPublishesAreReadByTheLibrary(f *testing.F) {
	for i := range uint64(16) {
		f.Add(i, i)
	}
	f.Fuzz(func(t *testing.T, a, b uint64) {
		if why := newRewriter().write(newMaker(a, b)); why != "" {
			t.Error(why)
		}
	})
}
