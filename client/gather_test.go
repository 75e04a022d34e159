package client

import (
	"math"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

func TestARequestStaysBelowWhatASidecarReads(t *testing.T) {
	t.Parallel()
	p := &Pipeline{}
	p.init()
	p.queue = make(chan *request, 4*maxEntries) // all of them wait already
	put := func(n, size int) {
		for range n {
			p.queue <- &request{size: size}
		}
	}
	put(maxEntries-1, fullRequest/maxEntries)
	put(1, maxEntry) // as large as one may be
	put(5, 1<<20)
	put(maxEntries+1, 10)
	var entries []int
	for len(p.queue) > 0 {
		batch, size := p.gather(<-p.queue), 0
		for _, r := range batch {
			size += r.size
		}
		if size > maxMessage {
			t.Errorf("a request of %d bytes, more than %d", size, maxMessage)
		}
		entries = append(entries, len(batch))
	}
	if want := []int{64, 1, 1, 1, 1, 1, 64, 1}; !slices.Equal(entries, want) {
		t.Errorf("entries in the requests: %v, want %v", entries, want)
	}
}

func TestTheSizeOfAnEntryIsNoLessThanWhatIsSent(t *testing.T) {
	t.Parallel()
	entry := &eventsv1.PublishStreamEntry{Topic: "orders", Event: NewEvent("id", "/s", "t", "text/plain", []byte("x"))}
	size, err := sizeOf(entry)
	if err != nil {
		t.Fatal(err)
	}
	f := &flight{open: map[uint64]*request{}, last: math.MaxUint64 - 1} // the longest id
	sent := proto.Size(&eventsv1.PublishStreamRequest{Entries: f.number([]*request{{entry: entry}})})
	if sent > size {
		t.Errorf("%d bytes are sent, more than %d", sent, size)
	}
}
