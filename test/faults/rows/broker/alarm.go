package broker

import (
	"syscall"
	"time"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/load"
	"github.com/warrenmesh/warren/test/faults/rig"
)

var alarmRows = []rig.Scenario{
	{Row: 13, Name: "memory-alarm", Fault: "The broker raises its memory alarm for 3 s", Nodes: 1, Short: true, Run: memoryAlarm},
	{Row: 14, Name: "disk-alarm", Fault: "The broker raises its disk alarm for 3 s", Nodes: 1, Short: true, Run: diskAlarm},
	{Row: 15, Name: "alarm-blocked-writes", Fault: "The broker raises a memory alarm while the sockets are full", Nodes: 1, Run: alarmBlockedWrites},
}

func memoryAlarm(w *rig.World) check.Expect { return alarmed(w, rig.MemoryAlarmOn, rig.MemoryAlarmOff) }
func diskAlarm(w *rig.World) check.Expect   { return alarmed(w, rig.DiskAlarmOn, rig.DiskAlarmOff) }

// alarmed: publishers get an error at once, and consumers continue.
func alarmed(w *rig.World, on, off string) check.Expect {
	var services rig.Tempo
	// The consumers are slow, so that they still have work during the alarm.
	w.Start(rig.Setup{Load: func(m *rig.Mix) {
		m.Behave = func(string, int) func(*load.Subscriber) {
			return func(s *load.Subscriber) {
				s.Outstanding = 8
				services.Behave(s, 30*time.Millisecond)
			}
		}
	}})
	w.Keep(time.Second)
	d := w.Disturb("alarm", func() string { return w.RaiseAlarm(on) })
	w.Cleanup(func() { w.Call("%s", off) })
	raised := w.Recorder.Now()
	w.Keep(3 * time.Second)
	until := w.Recorder.Now()
	d.Heal(func() { w.Call("%s", off) })
	w.AwaitOK(200)
	services.Hurry()
	w.Finish()
	checkAlarm(w, raised, until)
	return w.Expect()
}

// checkAlarm: a call that begins while the sidecar knows of the alarm is answered at
// once, and acks continue. The first moments are left out, because the broker reports
// an alarm only when it is written to.
func checkAlarm(w *rig.World, raised, until time.Duration) {
	w.Helper()
	const settle, last = 300 * time.Millisecond, 100 * time.Millisecond
	prompt := time.Duration(w.Slow * float64(100*time.Millisecond))
	var blocked, slow, acked int
	run := w.Recorder.Run()
	for _, p := range run.Publishes {
		if p.Start < raised+settle || p.Start > until-last || p.Deadline == 0 {
			continue
		}
		if p.Reason == "BROKER_BLOCKED" {
			blocked++
		}
		if p.End-p.Start > prompt {
			slow++
		}
	}
	for _, d := range run.Deliveries {
		if d.Outcome == history.Ack && d.SettledAt > raised+settle && d.SettledAt < until {
			acked++
		}
	}
	if blocked == 0 {
		w.Errorf("no publish was refused because of the alarm")
	}
	if slow > 0 {
		w.Errorf("%d of %d publishes were not answered within %v in the alarm", slow, slow+blocked, prompt)
	}
	if acked == 0 {
		w.Errorf("nothing was acknowledged in the alarm")
	}
}

// alarmBlockedWrites: large events fill the sockets, because the broker stops reading.
// No caller waits longer than its deadline.
func alarmBlockedWrites(w *rig.World) check.Expect {
	w.Start(rig.Setup{Links: 1, Load: func(m *rig.Mix) {
		m.Rate, m.Size, m.Deadline, m.Streams = 20, 64<<10, 2*time.Second, 0
	}})
	link := w.Links[0]
	d := w.Disturb("alarm on a full socket", func() string {
		link.Bandwidth(50)
		w.Keep(time.Second)
		return w.RaiseAlarm(rig.MemoryAlarmOn)
	})
	w.Cleanup(func() { w.Call("%s", rig.MemoryAlarmOff) })
	w.Keep(4 * time.Second)
	began := time.Now()
	w.Checkout.Signal(syscall.SIGTERM)
	w.Checkout.AwaitExit(20 * time.Second)
	if took := time.Since(began); took > 12*time.Second {
		w.Errorf("the sidecar took %v to end on a full socket", took)
	} else {
		w.Logf("the sidecar ended %v after SIGTERM", took)
	}
	d.Heal(func() {
		link.Heal()
		w.Call("%s", rig.MemoryAlarmOff)
		w.Restart(w.Checkout)
	})
	w.AwaitOK(50)
	w.Finish()
	return w.Expect()
}
