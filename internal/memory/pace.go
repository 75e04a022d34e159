package memory

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// headroom is how much a heap may grow between two collections, however small it is.
	headroom = 10 << 20
	// usual is Go's own setting: a heap may double.
	usual = 100
	// most bounds what is set for a heap of next to nothing.
	most = 800
)

// SetPace lets a small heap grow by 10 MiB between two collections, where Go lets it double
// and collects a heap of 4 MiB hundreds of times a second. A heap of 10 MiB or more may
// double, as ever. A GOGC other than 100 stays, and so does a memory limit: the collector
// works as much as that needs. It is called once.
func SetPace() {
	if set := debug.SetGCPercent(2 * usual); set != usual {
		debug.SetGCPercent(set)
		return
	}
	follow(&pacer{sample: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}})
}

// pacer adjusts the pace after each collection. It is garbage itself, so that a collection
// finds it.
type pacer struct {
	sample []metrics.Sample
	set    int
}

func follow(p *pacer) { runtime.SetFinalizer(p, adjust) }

func adjust(p *pacer) {
	metrics.Read(p.sample)
	if to := percent(p.sample[0].Value.Uint64()); to > p.set+p.set/8 || to < p.set-p.set/8 {
		p.set = to
		debug.SetGCPercent(to)
	}
	follow(p)
}

// percent is by how much a heap of live bytes may grow.
func percent(live uint64) int {
	return min(max(int(headroom*100/max(live, 1)), usual), most) //nolint:gosec // bounded
}
