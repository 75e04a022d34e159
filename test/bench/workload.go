package main

import (
	"slices"

	"github.com/warrenmesh/warren/test/bench/internal/measure"
	"github.com/warrenmesh/warren/test/bench/internal/mesh"
)

// variant is how the sidecars of a workload differ from those that users get without
// doing anything.
type variant string

const (
	plain  variant = ""
	tcp    variant = "tcp"    // services reach their sidecars over TCP
	traced variant = "traced" // every trace is sampled, not one in a hundred
	pushed variant = "push"   // the sidecar calls the subscriber
)

// apply changes the options of a mesh.
func (v variant) apply(o *mesh.Options) {
	switch v {
	case tcp:
		o.Socket = "tcp"
	case traced:
		o.Sampling = 1
	case pushed:
		o.Push = true
	}
}

// workload is one thing that is compared.
type workload struct {
	measure.Workload
	variant variant
}

// openWindow is the window of an open loop. It is so large that only a target that is
// seconds late fills it.
const openWindow = 8192

var (
	unary64  = workload{Workload: measure.Workload{Name: "unary64", Kind: measure.Unary, N: 64}}
	stream   = workload{Workload: measure.Workload{Name: "stream", Kind: measure.Stream, N: 1024}}
	drain    = workload{Workload: measure.Workload{Name: "drain", Kind: measure.Drain}}
	endToEnd = workload{Workload: measure.Workload{Name: "e2e", Kind: measure.EndToEnd, N: 128}}

	// inLine are the workloads of the last line, in its order.
	inLine = []workload{unary64, stream, drain, endToEnd}

	allWorkloads = []workload{
		{Workload: measure.Workload{Name: "unary1", Kind: measure.Unary, N: 1}},
		{Workload: measure.Workload{Name: "unary16", Kind: measure.Unary, N: 16}},
		unary64,
		unary64.as(tcp),
		{Workload: measure.Workload{Name: "batch100", Kind: measure.Batch, N: 100}},
		stream,
		stream.as(tcp),
		stream.as(traced),
		drain,
		endToEnd,
		endToEnd.as(tcp),
		endToEnd.as(traced),
		endToEnd.as(pushed),
		fixed("rate200", 200),
		fixed("rate1000", 1000),
		fixed("rate5000", 5000),
		{Workload: measure.Workload{Name: idleName}},
	}
)

// as returns the workload with other sidecars.
func (w workload) as(v variant) workload {
	w.Name, w.variant = w.Name+"-"+string(v), v
	return w
}

// fixed is an open loop end to end.
func fixed(name string, rate int) workload {
	return workload{Workload: measure.Workload{Name: name, Kind: measure.EndToEnd, N: openWindow, Rate: rate}}
}

// find returns the workload with that name.
func find(name string) (workload, bool) {
	i := slices.IndexFunc(allWorkloads, func(w workload) bool { return w.Name == name })
	if i < 0 {
		return workload{}, false
	}
	return allWorkloads[i], true
}
