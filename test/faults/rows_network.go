package faults

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
)

var networkRows = []Scenario{
	{Row: 9, Name: "slow-network", Fault: "latency of 500 ms ± 100 ms each way", Nodes: 1, Short: true, run: slowNetwork},
	{Row: 10, Name: "resets", Fault: "every connection reset, four times, 1 to 2 s apart", Nodes: 1, Short: true, run: resets},
	{Row: 11, Name: "half-open", Fault: "one of two paths to the broker swallows everything and closes nothing", Nodes: 1, Short: true, run: halfOpen},
	{Row: 12, Name: "slices", Fault: "1-byte slices at 10 KB/s, then a cut within a frame", Nodes: 1, Short: true, run: slicedNetwork},
}

func slowNetwork(w *World) check.Expect {
	w.start(setup{links: 1, load: func(m *mix) { m.deadline = 10 * time.Second }})
	link := w.Links[0]
	d := w.disturb("latency", func() string {
		link.Latency(500*time.Millisecond, 100*time.Millisecond)
		return "toxic in both directions"
	})
	from := w.Recorder.Now()
	w.keep(6 * time.Second)
	until := w.Recorder.Now()
	d.heal(link.Heal)
	w.awaitOK(200)
	w.finish()
	var slow, failed int
	for _, p := range w.Recorder.Run().Publishes {
		if p.Start < from || p.End > until {
			continue
		}
		if p.Result != history.OK {
			failed++
		} else if p.End-p.Start > 800*time.Millisecond {
			slow++
		}
	}
	if slow == 0 {
		w.Errorf("no confirm took 800 ms: the latency did not take hold")
	}
	if failed > 0 {
		w.Errorf("%d publishes failed although the network was only slow", failed)
	}
	return w.expect()
}

func resets(w *World) check.Expect {
	w.start(setup{links: 1})
	link := w.Links[0]
	random := rand.New(rand.NewPCG(w.seed, 10)) //nolint:gosec // the seed makes the schedule repeatable
	for i := range 4 {
		before := link.Connections()
		d := w.disturb(fmt.Sprintf("reset %d", i+1), func() string {
			w.cut(link)
			return fmt.Sprintf("%d connections reset", before)
		})
		d.heal(nil)
		w.keep(time.Second + time.Duration(random.IntN(1000))*time.Millisecond)
	}
	w.awaitOK(200)
	w.finish()
	return w.expect()
}

// halfOpen: the connection looks alive. A caller that waits for a confirm must get an
// answer.
func halfOpen(w *World) check.Expect {
	w.start(setup{links: 2})
	link := w.busiest()
	d := w.disturb("black hole", func() string {
		link.BlackHole()
		w.await("bytes are swallowed", 10*time.Second, func() bool { return link.Swallowed() > 0 })
		return "bytes are swallowed"
	})
	d.heal(nil)
	w.keep(8 * time.Second)
	d.prove(fmt.Sprintf("%d bytes in all", link.Swallowed()))
	link.Heal()
	w.awaitOK(200)
	w.finish()
	e := w.expect()
	e.MaxRecovery = 4 * time.Second // 3 s for the watchdog, and the time to connect
	return e
}

func slicedNetwork(w *World) check.Expect {
	w.start(setup{links: 1, load: func(m *mix) { m.rate = 4; m.deadline = 20 * time.Second }})
	link := w.Links[0]
	d := w.disturb("slices", func() string {
		link.Slice(1)
		link.Bandwidth(10)
		return "1-byte slices at 10 KB/s"
	})
	up, _ := link.Passed()
	w.keep(4 * time.Second)
	link.CutAfter(777)
	w.await("a connection is cut", 20*time.Second, func() bool { return link.CutConnections() > 0 })
	now, _ := link.Passed()
	d.prove(fmt.Sprintf("%d bytes passed, connections cut after 777: %d", now-up, link.CutConnections()))
	d.heal(link.Heal)
	w.awaitOK(50)
	w.finish()
	return w.expect()
}
