package history_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/warrenmesh/warren/test/faults/history"
)

func TestManyWritersLoseNothing(t *testing.T) {
	t.Parallel()
	const writers, each = 8, 1000
	rec := history.New("many", 1)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				id := fmt.Sprintf("%d-%d", w, i)
				call := rec.Begin(history.Publish{ID: id, Topic: "t", Seq: uint64(i) + 1})
				got := rec.Deliver(history.Delivery{Subscription: "s", ID: id})
				rec.Settle(got, history.Ack, nil)
				rec.Answer(call, history.Answer{Result: history.OK})
			}
		})
	}
	wg.Wait()
	run := rec.Run()
	ids := map[string]int{}
	for _, p := range run.Publishes {
		ids[p.ID]++
		if p.Result != history.OK || p.End < p.Start {
			t.Fatalf("call %+v, want an OK that ended after it began", p)
		}
	}
	for _, d := range run.Deliveries {
		ids[d.ID]++
		if d.Outcome != history.Ack || d.SettledAt < d.At {
			t.Fatalf("delivery %+v, want an ack after it came", d)
		}
	}
	for id, n := range ids {
		if n != 2 {
			t.Fatalf("%s was recorded %d times, want a call and a delivery", id, n)
		}
	}
	if len(ids) != writers*each {
		t.Errorf("%d ids, want %d", len(ids), writers*each)
	}
}

func TestACallIsUnansweredUntilItsAnswer(t *testing.T) {
	t.Parallel()
	rec := history.New("open", 1)
	call := rec.Begin(history.Publish{ID: "1", Result: history.OK, End: time.Hour})
	got := rec.Deliver(history.Delivery{ID: "1"})
	if p := rec.Run().Publishes[0]; p.Result != history.Unanswered || p.End != 0 {
		t.Errorf("an open call is recorded as %+v", p)
	}
	if rec.OpenCalls() != 1 || rec.OpenDeliveries() != 1 {
		t.Errorf("open: %d calls, %d deliveries, want one of each", rec.OpenCalls(), rec.OpenDeliveries())
	}
	rec.Answer(call, history.Answer{Result: history.Unknown, Code: "DEADLINE_EXCEEDED", Reason: "CONFIRM_TIMEOUT"})
	rec.Settle(got, history.Ack, nil)
	rec.Settle(got, history.Ack, errors.New("stream is gone"))
	run := rec.Run()
	if p := run.Publishes[0]; p.Result != history.Unknown || p.Code != "DEADLINE_EXCEEDED" || p.Reason != "CONFIRM_TIMEOUT" {
		t.Errorf("the answered call is recorded as %+v", p)
	}
	if d := run.Deliveries[0]; d.Outcome != history.Ack || d.SettleErr != "stream is gone" {
		t.Errorf("the settled delivery is recorded as %+v", d)
	}
	if rec.OpenCalls() != 0 || rec.OpenDeliveries() != 0 {
		t.Errorf("open: %d calls, %d deliveries, want none", rec.OpenCalls(), rec.OpenDeliveries())
	}
}

func TestTheZeroCallAndReceiptAreIgnored(t *testing.T) {
	t.Parallel()
	rec := history.New("zero", 1)
	rec.Answer(history.Call{}, history.Answer{Result: history.OK})
	rec.Settle(history.Receipt{}, history.Ack, nil)
	if run := rec.Run(); len(run.Publishes)+len(run.Deliveries) != 0 {
		t.Errorf("recorded %+v", run)
	}
}

func TestASavedRunIsLoadedAsItWas(t *testing.T) {
	t.Parallel()
	rec := history.New("saved", 42)
	rec.Answer(rec.Begin(history.Publish{ID: "1", Topic: "t", Key: "k", Seq: 1, Deadline: time.Second}), history.Answer{Result: history.Failed, Code: "UNAVAILABLE", Reason: "NOT_SENT"})
	rec.Begin(history.Publish{ID: "1", Topic: "t", Key: "k", Seq: 1, Repeat: 1})
	rec.Settle(rec.Deliver(history.Delivery{Subscription: "s", Consumer: "c", ID: "1", Key: "k", Seq: 1, Attempt: 2, Redelivered: true}), history.Dead, errors.New("gone"))
	rec.DeadLetter(history.DeadLetter{Subscription: "s", ID: "1", Reason: "poison", Attempts: 2})
	rec.Left(history.Leftover{Subscription: "s", ID: "2"})
	rec.Sample(history.Sample{Process: "sidecar", RSS: 3, Anon: 2, Goroutines: 4, FDs: 5})
	rec.Fault(history.Fault{Name: "kill", Injected: 1, Healed: 2, Proof: "pid gone", InFlight: 1})
	rec.Paths(history.Paths{Process: "sidecar", Publish: history.Ways{Fast: 1, Slow: 2}, Delivery: history.Ways{Fast: 3, Slow: 4}, Restarted: true})
	rec.Drained()
	want := rec.Run()
	want.Start = want.Start.Round(0).UTC()

	var file bytes.Buffer
	if err := want.Save(&file); err != nil {
		t.Fatal(err)
	}
	got, err := history.Load(&file)
	if err != nil {
		t.Fatal(err)
	}
	got.Start = got.Start.UTC()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("loaded %+v, want %+v", got, want)
	}
}

func TestAFileThatIsNoRunIsRefusedWithItsLine(t *testing.T) {
	t.Parallel()
	head := `{"run":{"scenario":"s","seed":1,"start":"2026-01-02T03:04:05Z"}}` + "\n"
	for name, test := range map[string]struct{ file, want string }{
		"nothing":            {"", "line 1"},
		"no header":          {`{"publish":{"id":"1"}}`, "line 1: the header"},
		"two headers":        {head + head, "line 2: the header"},
		"an unknown record":  {head + `{"publisher":{}}`, "line 2"},
		"an unknown result":  {head + `{"publish":{"id":"1","result":"fine"}}`, `"fine" is none of`},
		"an unknown outcome": {head + `{"delivery":{"id":"1","outcome":"lost"}}`, `"lost" is none of`},
		"half a line":        {head + `{"publish":`, "line 2"},
	} {
		if _, err := history.Load(strings.NewReader(test.file)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestAWriterThatFailsIsReported(t *testing.T) {
	t.Parallel()
	full := errors.New("disk full")
	if err := history.New("s", 1).Run().Save(failing{full}); !errors.Is(err, full) {
		t.Errorf("saved with %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func BenchmarkRecord(b *testing.B) {
	b.ReportAllocs()
	rec := history.New("bench", 1)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			rec.Answer(rec.Begin(history.Publish{ID: "1", Topic: "t"}), history.Answer{Result: history.OK})
		}
	})
}

func TestAProofThatCameLaterIsOfItsFaultAlone(t *testing.T) {
	t.Parallel()
	rec := history.New("made", 1)
	rec.Prove(history.Fault{Injected: 1, Proof: "of nothing"})
	rec.Fault(history.Fault{Name: "kill", Injected: 1, Healed: 2, Proof: "pid gone"})
	rec.Fault(history.Fault{Name: "cut", Injected: 3, Healed: 4, Proof: "bytes cut"})
	rec.Prove(history.Fault{Injected: 3, Proof: "bytes cut; 7 in all"})
	faults := rec.Run().Faults
	if len(faults) != 2 || faults[0].Proof != "pid gone" || faults[1].Proof != "bytes cut; 7 in all" {
		t.Errorf("faults are %+v", faults)
	}
}
