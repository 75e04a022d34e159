package load_test

import (
	"strings"
	"testing"
	"time"

	"github.com/warrenmesh/warren/test/bench/internal/load"
)

// bodies takes n messages out of a feed.
func bodies(t *testing.T, feed *load.Feed, n int) [][]byte {
	t.Helper()
	lane := feed.Lane()
	var out [][]byte
	for range n {
		body := make([]byte, load.DefaultSize)
		if _, ok := lane.Next(body); !ok {
			t.Fatalf("the feed yields %d of %d messages", len(out), n)
		}
		out = append(out, body)
	}
	return out
}

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func TestAFeedYieldsAsManyAsItWasMadeForAndNoneAfterStop(t *testing.T) {
	t.Parallel()
	limited := load.NewFeed(load.Shape{Limit: 2})
	lane, body, ids := limited.Lane(), make([]byte, load.DefaultSize), map[string]bool{}
	for m, ok := lane.Next(body); ok; m, ok = lane.Next(body) {
		ids[m.ID] = true
		lane.Confirmed(m.Made)
	}
	if n, err := limited.Settled(); n != 2 || err != nil || len(ids) != 2 {
		t.Errorf("%d messages with %d ids were settled, %v; want 2", n, len(ids), err)
	}
	endless := load.NewFeed(load.Shape{})
	bodies(t, endless, 3)
	endless.Stop()
	if _, ok := endless.Lane().Next(body); ok {
		t.Error("a stopped feed yields")
	}
}

func TestAMessageWithoutConfirmIsAnError(t *testing.T) {
	t.Parallel()
	feed := load.NewFeed(load.Shape{})
	lane, body := feed.Lane(), make([]byte, load.DefaultSize)
	first, _ := lane.Next(body)
	_, _ = lane.Next(body)
	lane.Confirmed(first.Made)
	if n, err := feed.Settled(); n != 2 || err == nil || !strings.Contains(err.Error(), "2 messages were published and 1 confirmed") {
		t.Errorf("settled %d, %v", n, err)
	}
}

func TestLatenciesAreKeptFromRecordOn(t *testing.T) {
	t.Parallel()
	feed := load.NewFeed(load.Shape{})
	sink, lane := load.NewSink(feed), feed.Lane()
	for i := range 3 {
		body := make([]byte, load.DefaultSize)
		m, _ := lane.Next(body)
		if i == 1 {
			feed.Record()
			sink.Record()
		}
		lane.Confirmed(m.Made)
		if err := sink.Receive(body, false); err != nil {
			t.Fatal(err)
		}
	}
	for _, kept := range [][]int{{len(feed.Latencies()), feed.Confirmed()}, {len(sink.Latencies()), sink.Received()}} {
		if kept[0] != 2 || kept[1] != 3 {
			t.Errorf("%d latencies of %d messages were kept, want 2 of 3", kept[0], kept[1])
		}
	}
}

func TestASinkIsDoneWhenAllAreThereInAnyOrder(t *testing.T) {
	t.Parallel()
	feed := load.NewFeed(load.Shape{})
	sink, all := load.NewSink(feed), bodies(t, feed, 200)
	if err := sink.Expect(len(all)); err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if closed(sink.Done()) {
			t.Fatalf("done after %d", i)
		}
		if err := sink.Receive(all[len(all)-1-i], false); err != nil {
			t.Fatal(err)
		}
	}
	if !closed(sink.Done()) || sink.Received() != len(all) {
		t.Errorf("%d are received and it is not done", sink.Received())
	}
	late := load.NewSink(feed)
	if err := late.Receive(all[0], false); err != nil {
		t.Fatal(err)
	}
	if err := late.Expect(1); err != nil || !closed(late.Done()) {
		t.Errorf("what is expected came before: %v", err)
	}
}

func TestASinkRefusesWhatWasNotPublishedOrCameBefore(t *testing.T) {
	t.Parallel()
	feed, other := load.NewFeed(load.Shape{}), load.NewFeed(load.Shape{})
	mine, foreign := bodies(t, feed, 3), bodies(t, other, 1)[0]
	damaged := append([]byte(nil), mine[1]...)
	damaged[15] = 0xff // the number's highest byte
	for name, c := range map[string]struct {
		body []byte
		want string
	}{
		"twice":      {mine[0], "received a message twice: number 0, redelivered false"},
		"foreign":    {foreign, "another run"},
		"short":      {mine[1][:100], "another size: 100 bytes"},
		"damaged":    {damaged, "never published"},
		"one beyond": {mine[2], "more than was published: 2 of 1"},
	} {
		sink := load.NewSink(feed)
		if err := sink.Receive(mine[0], false); err != nil {
			t.Fatal(err)
		}
		if err := sink.Expect(1); err != nil {
			t.Fatal(err)
		}
		if err := sink.Receive(c.body, false); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestAFeedWithARateYieldsMessagesWhenTheyAreDueAndCountsFromThen(t *testing.T) {
	t.Parallel()
	const rate, n = 1000, 50
	feed := load.NewFeed(load.Shape{Rate: rate, Limit: n})
	lane, body := feed.Lane(), make([]byte, load.DefaultSize)
	began, last := time.Now(), int64(0)
	for i := range n {
		m, ok := lane.Next(body)
		if !ok || m.Number != uint64(i) {
			t.Fatalf("message %d is number %d, %t", i, m.Number, ok)
		}
		if gap := m.Made - last; i > 0 && gap != int64(time.Second/rate) {
			t.Fatalf("message %d was due %d ns after the one before", i, gap)
		}
		last = m.Made
	}
	if took, least := time.Since(began), (n-1)*time.Second/rate; took < least {
		t.Errorf("%d messages took %v, want at least %v", n, took, least)
	}
	if _, ok := lane.Next(body); ok {
		t.Error("the feed yields more than its limit")
	}
}

func TestWhatALateClientMissedIsDueAtOnce(t *testing.T) {
	t.Parallel()
	feed := load.NewFeed(load.Shape{Rate: 1})
	lane, body := feed.Lane(), make([]byte, load.DefaultSize)
	if _, ok := lane.Next(body); !ok || lane.Due() {
		t.Errorf("after the first message of a second, the next one is due: %t", lane.Due())
	}
	if !load.NewFeed(load.Shape{}).Lane().Due() {
		t.Error("without a rate a message is not due")
	}
}

func TestBodiesHaveTheSizeOfTheFeed(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]int{0: load.DefaultSize, 100: 100, 1: 24, 1 << 20: 1 << 20} {
		feed := load.NewFeed(load.Shape{Size: size})
		body := make([]byte, feed.Size())
		_, _ = feed.Lane().Next(body)
		if err := load.NewSink(feed).Receive(body, false); err != nil || len(body) != want {
			t.Errorf("of size %d: %d bytes, %v; want %d", size, len(body), err, want)
		}
	}
}
