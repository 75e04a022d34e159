package frame

import "time"

const (
	// fast is how many deliveries a second are worth waiting for more.
	fast = 10_000
	// pause is how long the reader lingers then. The runtime may make a millisecond of it.
	pause = 250 * time.Microsecond
	// glance is how long deliveries are counted before their rate is judged.
	glance = 2 * time.Millisecond
	// lingerWindow is the least prefetch of a consumer that is lingered for. With a smaller one
	// the broker would wait for acknowledgements while the reader sleeps.
	lingerWindow = 64
)

// linger decides whether the reader waits a little before it asks the kernel for more. A
// broker writes a few kilobytes at a time, so while deliveries come fast each read, each
// wake-up and each acknowledgement stands for more of them. While they do not, nothing
// waits. The zero value is ready; it belongs to the reader.
type linger struct {
	since time.Time // when counting began
	large int       // deliveries since then, to consumers with room to spare
	small int       // to others
	waits bool      // the rate was fast when it was judged last
}

// count counts a delivery.
func (l *linger) count(spare bool) {
	if spare {
		l.large++
	} else {
		l.small++
	}
}

// before returns how long to wait before the next read.
func (l *linger) before(now time.Time) time.Duration {
	if passed := now.Sub(l.since); passed >= glance {
		l.waits = l.small == 0 && float64(l.large) >= fast*passed.Seconds()
		l.since, l.large, l.small = now, 0, 0
	}
	if !l.waits {
		return 0
	}
	return pause
}
