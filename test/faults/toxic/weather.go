package toxic

import (
	"math/rand/v2"
	"time"
)

// weather is what happens to the bytes of one direction. The zero value is fair.
type weather struct {
	latency, jitter time.Duration
	slice           int // bytes a piece; 0 means whole
	bandwidth       int // bytes a second; 0 means any
	hole            bool
	cutAfter        int64 // bytes of each connection; 0 means never
}

// spell is a weather and how long it lasts.
type spell struct {
	weather
	over chan struct{} // closed when another weather is there
}

// delay is how long a chunk travels.
func (w *weather) delay() time.Duration {
	d := w.latency
	if w.jitter > 0 {
		d += rand.N(2*w.jitter) - w.jitter //nolint:gosec // no secret
	}
	return max(d, 0)
}

// capacity is how many chunks may be in transit: enough for latency not to bound the
// throughput, and one without latency, so that a sender that is too fast is held up.
func (w *weather) capacity() int {
	const underWay = 1024
	if w.latency > 0 {
		return underWay
	}
	return 1
}

// pieces cuts data as the weather does.
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
