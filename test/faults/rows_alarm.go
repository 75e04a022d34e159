package faults

import (
	"strings"
	"syscall"
	"time"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/load"
)

var alarmRows = []Scenario{
	{Row: 13, Name: "memory-alarm", Fault: "the broker's memory alarm for 3 s", Nodes: 1, Short: true, run: memoryAlarm},
	{Row: 14, Name: "disk-alarm", Fault: "the broker's disk alarm for 3 s", Nodes: 1, Short: true, run: diskAlarm},
	{Row: 15, Name: "alarm-blocked-writes", Fault: "a memory alarm while the sockets are full", Nodes: 1, run: alarmBlockedWrites},
}

const (
	memoryOn  = "vm_memory_monitor:set_vm_memory_high_watermark(0.000001)."
	memoryOff = "vm_memory_monitor:set_vm_memory_high_watermark(0.4)."
	diskOn    = "rabbit_disk_monitor:set_disk_free_limit(1000000000000000)."
	diskOff   = "rabbit_disk_monitor:set_disk_free_limit(64000000)."
)

func memoryAlarm(w *World) check.Expect { return alarmed(w, memoryOn, memoryOff) }
func diskAlarm(w *World) check.Expect   { return alarmed(w, diskOn, diskOff) }

// alarmed: publishers get an error at once, and consumers continue.
func alarmed(w *World, on, off string) check.Expect {
	var services tempo
	// The consumers are slow, so that they still have work during the alarm.
	w.start(setup{load: func(m *mix) {
		m.behave = func(string, int) func(*load.Subscriber) {
			return func(s *load.Subscriber) {
				s.Outstanding = 8
				services.behave(s, 30*time.Millisecond)
			}
		}
	}})
	w.keep(time.Second)
	d := w.disturb("alarm", func() string { return w.raise(on) })
	w.Cleanup(func() { w.call("%s", off) })
	raised := w.Recorder.Now()
	w.keep(3 * time.Second)
	until := w.Recorder.Now()
	d.heal(func() { w.call("%s", off) })
	w.awaitOK(200)
	services.hurry()
	w.finish()
	w.checkAlarm(raised, until)
	return w.expect()
}

// raise raises an alarm. It returns the proof that the broker lists it.
func (w *World) raise(on string) string {
	w.Helper()
	w.call("%s", on)
	var alarms string
	w.within(5*time.Second, func() bool {
		alarms = w.call("rabbit_alarm:get_alarms().")
		return alarms != "[]"
	})
	if alarms == "[]" {
		return ""
	}
	return "alarm listed: " + strings.Fields(strings.ReplaceAll(alarms, ",", " "))[1]
}

// checkAlarm: a call that begins while the sidecar knows of the alarm is answered at
// once, and acks continue. The first moments are left out, because the broker reports
// an alarm only when it is written to.
func (w *World) checkAlarm(raised, until time.Duration) {
	w.Helper()
	const settle, last = 300 * time.Millisecond, 100 * time.Millisecond
	prompt := time.Duration(w.slow * float64(100*time.Millisecond))
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
func alarmBlockedWrites(w *World) check.Expect {
	w.start(setup{links: 1, load: func(m *mix) {
		m.rate, m.size, m.deadline, m.streams = 20, 64<<10, 2*time.Second, 0
	}})
	link := w.Links[0]
	d := w.disturb("alarm on a full socket", func() string {
		link.Bandwidth(50)
		w.keep(time.Second)
		return w.raise(memoryOn)
	})
	w.Cleanup(func() { w.call("%s", memoryOff) })
	w.keep(4 * time.Second)
	began := time.Now()
	w.checkout.Signal(syscall.SIGTERM)
	w.checkout.AwaitExit(20 * time.Second)
	if took := time.Since(began); took > 12*time.Second {
		w.Errorf("the sidecar took %v to end on a full socket", took)
	} else {
		w.Logf("the sidecar ended %v after SIGTERM", took)
	}
	d.heal(func() {
		link.Heal()
		w.call("%s", memoryOff)
		w.again(w.checkout)
	})
	w.awaitOK(50)
	w.finish()
	return w.expect()
}
