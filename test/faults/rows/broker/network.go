package broker

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/rig"
)

var networkRows = []rig.Scenario{
	{Row: 9, Name: "slow-network", Fault: "The network delays everything by 500 ms ± 100 ms in each direction", Nodes: 1, Short: true, Run: slowNetwork},
	{Row: 10, Name: "resets", Fault: "The network resets every connection, four times, 1 to 2 s apart", Nodes: 1, Short: true, Run: resets},
	{Row: 11, Name: "half-open", Fault: "One of two network paths to the broker swallows everything and closes nothing", Nodes: 1, Short: true, Run: halfOpen},
	{Row: 12, Name: "slices", Fault: "The network passes 1-byte slices at 10 KB/s, then cuts a connection within a frame", Nodes: 1, Short: true, Run: slicedNetwork},
}

func slowNetwork(w *rig.World) check.Expect {
	w.Start(rig.Setup{Links: 1, Load: func(m *rig.Mix) { m.Deadline = 10 * time.Second }})
	link := w.Links[0]
	d := w.Disturb("latency", func() string {
		link.Latency(500*time.Millisecond, 100*time.Millisecond)
		return "toxic in both directions"
	})
	from := w.Recorder.Now()
	w.Keep(6 * time.Second)
	until := w.Recorder.Now()
	d.Heal(link.Heal)
	w.AwaitOK(200)
	w.Finish()
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
	return w.Expect()
}

func resets(w *rig.World) check.Expect {
	w.Start(rig.Setup{Links: 1})
	link := w.Links[0]
	random := rand.New(rand.NewPCG(w.Seed, 10)) //nolint:gosec // the seed makes the schedule repeatable
	for i := range 4 {
		before := link.Connections()
		d := w.Disturb(fmt.Sprintf("reset %d", i+1), func() string {
			w.Cut(link)
			return fmt.Sprintf("%d connections reset", before)
		})
		d.Heal(nil)
		w.Keep(time.Second + time.Duration(random.IntN(1000))*time.Millisecond)
	}
	w.AwaitOK(200)
	w.Finish()
	e := w.Expect()
	e.SlowPublishes = true
	return e
}

// halfOpen: the connection looks alive. A caller that waits for a confirm must get an
// answer.
func halfOpen(w *rig.World) check.Expect {
	w.Start(rig.Setup{Links: 2})
	link := w.Busiest()
	d := w.Disturb("black hole", func() string {
		link.BlackHole()
		w.Await("bytes are swallowed", 10*time.Second, func() bool { return link.Swallowed() > 0 })
		return "bytes are swallowed"
	})
	d.Heal(nil)
	w.Keep(8 * time.Second)
	d.Prove(fmt.Sprintf("%d bytes in all", link.Swallowed()))
	link.Heal()
	w.AwaitOK(200)
	w.Finish()
	e := w.Expect()
	e.MaxRecovery = 4 * time.Second // 3 s for the watchdog, and the time to connect
	return e
}

func slicedNetwork(w *rig.World) check.Expect {
	w.Start(rig.Setup{Links: 1, Load: func(m *rig.Mix) { m.Rate = 4; m.Deadline = 20 * time.Second }})
	link := w.Links[0]
	d := w.Disturb("slices", func() string {
		link.Slice(1)
		link.Bandwidth(10)
		return "1-byte slices at 10 KB/s"
	})
	up, _ := link.Passed()
	w.Keep(4 * time.Second)
	link.CutAfter(777)
	w.Await("a connection is cut", 20*time.Second, func() bool { return link.CutConnections() > 0 })
	now, _ := link.Passed()
	d.Prove(fmt.Sprintf("%d bytes passed, connections cut after 777: %d", now-up, link.CutConnections()))
	d.Heal(link.Heal)
	w.AwaitOK(50)
	w.Finish()
	return w.Expect()
}
