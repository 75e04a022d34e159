package publish_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	"github.com/warrenmesh/warren/proxy/limit"
	"github.com/warrenmesh/warren/proxy/publish"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/tracing"
)

// bounded is a service over the rig's broker with bounds of the test's.
func (r *rig) bounded(change func(*publish.Options)) *service {
	opts := publish.Options{Namespace: "shop", Topics: r.topics, Brokers: one{r.driver}, Tracing: tracing.Disabled().Messaging()}
	change(&opts)
	return enter(opts)
}

// unread sends events of which nobody reads the results, until the stream takes no more
// or n are sent.
func unread(s eventsv1.EventService_PublishStreamClient, n int, id string) (ended <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range n {
			e := numbered(i)
			e.Id += id
			if s.Send(&eventsv1.PublishStreamRequest{Topic: "orders", Entries: []*eventsv1.PublishStreamEntry{{RequestId: uint64(i), Event: e}}}) != nil {
				return
			}
		}
	}()
	return done
}

func TestResultsThatNobodyReadsAreBoundedAndNobodyElsesTrouble(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	inFlight, left := limit.NewBudget(0, 0), limit.NewBudget(0, 64<<10)
	service := r.bounded(func(o *publish.Options) { o.InFlight, o.Unread = inFlight, left })
	// Ids of 32 KB fill what the transport takes, and the rest stays with the stream.
	stuck, _ := openStream(t, service)
	unread(stuck, 100_000, strings.Repeat("x", 32<<10))
	var before int64
	waitFor(t, func() bool { // nothing moves any more
		_, now := left.InUse()
		n, _ := inFlight.InUse()
		same := now == before && now > 0 && n == 0
		before = now
		return same
	})
	if _, bytes := left.InUse(); bytes > 64<<10 {
		t.Errorf("%d bytes of results are kept, want at most 64 KiB", bytes)
	}
	if n, bytes := inFlight.InUse(); n != 0 {
		t.Errorf("%d events of %d bytes are in flight for somebody who does not read", n, bytes)
	}
	other, _ := openStream(t, service)
	for i := range 200 { // a stream's own window is always there
		put(t, other, &eventsv1.PublishStreamEntry{RequestId: uint64(i), Event: numbered(i)})
		if got, err := results(t, other, 1); err != nil || len(got) != 1 {
			t.Fatalf("another stream: %v, %v", got, err)
		}
	}
}

func TestAStreamWhoseResultsAreNotReadEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	left := limit.NewBudget(0, 256<<10)
	service := r.bounded(func(o *publish.Options) { o.UnreadFor, o.Unread = 100*time.Millisecond, left })
	ended := make(chan struct{})
	s, _ := openStreamTold(t, service, func() { close(ended) })
	unread(s, 1_000_000, strings.Repeat("x", 8<<10))
	<-ended // though nobody read
	waitFor(t, func() bool { _, bytes := left.InUse(); return bytes == 0 })
	for {
		if _, err := s.Recv(); err != nil {
			if status.Code(err) != codes.ResourceExhausted || rpcerr.Reason(err) != refusal.BufferFull {
				t.Errorf("the stream ended with %v, want RESOURCE_EXHAUSTED BUFFER_FULL", err)
			}
			break
		}
	}
}

func TestLargeRequestsThatWaitAreBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	held := limit.NewBudget(0, 1<<20)
	service := r.bounded(func(o *publish.Options) { o.Held = held; o.InFlight = limit.NewBudget(1, 0) })
	release := r.broker.HoldConfirms()
	var large []*eventsv1.PublishStreamEntry // 550 KB in all
	for i := range 500 {
		e := numbered(i)
		e.Data = &eventsv1.CloudEvent_BinaryData{BinaryData: make([]byte, 800)}
		large = append(large, &eventsv1.PublishStreamEntry{RequestId: uint64(i), Event: e})
	}
	var streams []eventsv1.EventService_PublishStreamClient
	for range 3 { // each waits for its first event's confirm or its turn
		s, _ := openStream(t, service)
		put(t, s, large...)
		streams = append(streams, s)
	}
	waitFor(t, func() bool { _, bytes := held.InUse(); return bytes > 500<<10 })
	if _, bytes := held.InUse(); bytes > 1<<20 {
		t.Errorf("%d bytes are held, want at most 1 MiB", bytes)
	}
	errs := make(chan error, len(streams))
	for _, s := range streams {
		go func() {
			for {
				if _, err := s.Recv(); err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	if err := <-errs; status.Code(err) != codes.ResourceExhausted {
		t.Errorf("the first stream ended with %v, want RESOURCE_EXHAUSTED", err)
	}
	release()
	waitFor(t, func() bool { _, bytes := held.InUse(); return bytes == 0 })
}

func TestLargeRequestsThatFollowEachOtherAllFindRoom(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	held := limit.NewBudget(0, 256<<10)
	service := r.bounded(func(o *publish.Options) { o.Held = held })
	s, _ := openStream(t, service)
	const requests, each, size = 10, 80, 900 // of about 93 KB: two do not fit into half of what may be held
	go func() {
		for n := range requests {
			var entries []*eventsv1.PublishStreamEntry
			for i := range each {
				e := numbered(n*each + i)
				e.Data = &eventsv1.CloudEvent_BinaryData{BinaryData: make([]byte, size)}
				entries = append(entries, &eventsv1.PublishStreamEntry{RequestId: uint64(n*each + i), Event: e})
			}
			put(t, s, entries...)
		}
	}()
	if _, err := results(t, s, requests*each); err != nil { // every event is answered, as taken or as nacked
		t.Fatal(err)
	}
	waitFor(t, func() bool { n, bytes := held.InUse(); return n == 0 && bytes == 0 })
}

func TestATopicNameThatIsNoneIsRefusedBeforeAnybodyIsAsked(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	service := r.bounded(func(o *publish.Options) { o.Topics = nil }) // asking panics
	for _, name := range []string{strings.Repeat("a", 5<<20), "Orders", "a/b/c", "or\x1b[2Jders", ".."} {
		_, err := service.Publish(t.Context(), &eventsv1.PublishRequest{Topic: name, Event: numbered(1)})
		if status.Code(err) != codes.InvalidArgument || rpcerr.Metadata(err, "field") != "topic" {
			t.Errorf("%.20q: %v, want INVALID_ARGUMENT that names topic", name, err)
		}
		if len(err.Error()) > 1000 || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%.20q: echoed in an error of %d bytes", name, len(err.Error()))
		}
	}
}
