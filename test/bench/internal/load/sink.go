package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Errors of a received message.
var (
	errSize     = errors.New("received a body of another size")
	errForeign  = errors.New("received a message of another run")
	errTwice    = errors.New("received a message twice")
	errTooMany  = errors.New("received more than was published")
	errImpaired = errors.New("received a number that was never published")
)

// Sink checks the received messages of one feed.
type Sink struct {
	tag    uint64
	opened chan struct{}
	done   chan struct{}

	mu        sync.Mutex // guards all below
	seen      []uint64   // one bit for each number
	received  int
	expected  int // -1 while it is unknown
	recording bool
	latencies []time.Duration
	first     int64 // when the first message arrived
	last      int64
}

// NewSink makes a sink for the messages of feed.
func NewSink(feed *Feed) *Sink {
	return &Sink{tag: feed.tag, opened: make(chan struct{}), done: make(chan struct{}), expected: -1}
}

// Open says that a consumer is ready. Call it exactly once.
func (s *Sink) Open() { close(s.opened) }

// Opened is closed by Open.
func (s *Sink) Opened() <-chan struct{} { return s.opened }

// Done is closed when every expected message was received.
func (s *Sink) Done() <-chan struct{} { return s.done }

// Expect says how many messages there are. Call it exactly once.
func (s *Sink) Expect(n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected = n
	return s.check()
}

// check closes done when every expected message was received.
func (s *Sink) check() error {
	switch {
	case s.received == s.expected:
		close(s.done)
	case s.expected >= 0 && s.received > s.expected:
		return fmt.Errorf("%w: %d of %d", errTooMany, s.received, s.expected)
	}
	return nil
}

// Record starts to record latencies.
func (s *Sink) Record() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recording = true
}

// Received returns how many messages were received so far.
func (s *Sink) Received() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received
}

// Span returns the time from the first message to the last.
func (s *Sink) Span() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.last - s.first)
}

// Latencies returns, for every message that arrived after Record, the time from its
// making to its arrival. Call it after receiving has ended.
func (s *Sink) Latencies() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latencies
}

// Receive checks one message. It does not keep body. A repeated message is an error
// even when it is marked as redelivered: that is allowed after a fault, and a
// comparison has no faults.
func (s *Sink) Receive(body []byte, redelivered bool) error {
	if len(body) != Size {
		return fmt.Errorf("%w: %d bytes", errSize, len(body))
	}
	if binary.LittleEndian.Uint64(body[tagAt:]) != s.tag {
		return errForeign
	}
	number := binary.LittleEndian.Uint64(body[numberAt:])
	made := int64(binary.LittleEndian.Uint64(body[timeAt:])) //nolint:gosec // as it was written
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.mark(number); err != nil {
		return fmt.Errorf("%w, redelivered %t", err, redelivered)
	}
	s.last = now()
	if s.received == 0 {
		s.first = s.last
	}
	if s.recording {
		s.latencies = append(s.latencies, time.Duration(s.last-made))
	}
	s.received++
	return s.check()
}

// maxNumber bounds the memory that a damaged number can cost.
const maxNumber = 1 << 32

func (s *Sink) mark(number uint64) error {
	if number >= maxNumber {
		return fmt.Errorf("%w: %d", errImpaired, number)
	}
	word, bit := int(number/64), uint64(1)<<(number%64) //nolint:gosec // bounded above
	for len(s.seen) <= word {
		s.seen = append(s.seen, 0)
	}
	if s.seen[word]&bit != 0 {
		return fmt.Errorf("%w: number %d", errTwice, number)
	}
	s.seen[word] |= bit
	return nil
}
