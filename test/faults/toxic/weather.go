package toxic

import (
	"math/rand/v2"
	"time"
)

// weather describes what happens to the bytes of one direction. The zero value changes
// nothing.
type weather struct {
	latency, jitter time.Duration
	slice           int // bytes in a piece; 0 means that nothing is cut
	bandwidth       int // bytes a second; 0 means no limit
	hole            bool
	cutAfter        int64 // bytes of each connection; 0 means never
}

// spell is a weather and the time for which it lasts.
type spell struct {
	weather
	over chan struct{} // closed when another weather begins
}

// delay is how long a chunk is in transit.
func (w *weather) delay() time.Duration {
	d := w.latency
	if w.jitter > 0 {
		d += rand.N(2*w.jitter) - w.jitter //nolint:gosec // not secret
	}
	return max(d, 0)
}

// capacity is how many chunks may be in transit. With latency there are enough for the
// latency not to bound the throughput. Without latency there is one, so that a sender
// that is too fast is slowed down.
func (w *weather) capacity() int {
	const underWay = 1024
	if w.latency > 0 {
		return underWay
	}
	return 1
}

// pieces cuts data into pieces of the weather's size.
func (w *weather) pieces(data []byte) [][]byte {
	if w.slice == 0 || len(data) <= w.slice {
		return [][]byte{data}
	}
	var out [][]byte
	for len(data) > w.slice {
		out = append(out, data[:w.slice])
		data = data[w.slice:]
	}
	return append(out, data)
}
