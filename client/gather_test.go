package client

import (
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
	put := func(bytes int) {
		entry := &eventsv1.PublishStreamEntry{Event: NewEvent("id", "/s", "t", "", make([]byte, bytes))}
		size, err := sizeOf(entry)
		if err != nil {
			t.Fatal(err)
		}
		p.queue <- &request{entry: entry, size: size}
	}
	for range maxEntries - 1 {
		put(fullRequest/maxEntries - 100)
	}
	put(maxEntry - 100) // as large as one may be
	for range 5 {
		put(1 << 20)
	}
	for range maxEntries + 1 {
		put(10)
	}
	flight := &flight{open: map[uint64]*request{}, last: 1 << 62}
	var entries []int
	for len(p.queue) > 0 {
		message := &eventsv1.PublishStreamRequest{Entries: flight.number(p.gather(<-p.queue))}
		if size := proto.Size(message); size > maxMessage {
			t.Errorf("a request of %d bytes, more than %d", size, maxMessage)
		}
		entries = append(entries, len(message.GetEntries()))
	}
	if want := []int{64, 1, 1, 1, 1, 1, 64, 1}; !slices.Equal(entries, want) {
		t.Errorf("entries in the requests: %v, want %v", entries, want)
	}
}
