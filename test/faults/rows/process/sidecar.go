package process

import (
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/rig"
)

var processRows = []rig.Scenario{
	{Row: 28, Name: "sigterm", Fault: "The rig stops both sidecars with SIGTERM, one after the other, under load", Nodes: 1, Short: true, Quick: true, Run: sigterm},
	{Row: 29, Name: "sidecars-killed", Fault: "The rig kills a sidecar with kill -9 again and again, the publishers' and the services' in turn", Nodes: 1, Short: true, Patience: 4 * time.Minute, Run: sidecarsKilled},
	{Row: 30, Name: "no-descriptors", Fault: "A sidecar has no file descriptor left, and then the network resets every connection", Nodes: 1, Short: true, Run: noDescriptors},
}

// sigterm: every accepted call gets an answer with its outcome.
func sigterm(w *rig.World) check.Expect {
	w.Start(rig.Setup{})
	for _, s := range []*rig.Service{w.Checkout, w.Billing} {
		d := w.Disturb("SIGTERM of "+s.Name, func() string {
			began := time.Now()
			pid := s.PID()
			s.Signal(syscall.SIGTERM)
			if code := s.AwaitExit(time.Minute); code != 0 {
				w.Errorf("%s exits with %d", s.Name, code)
			}
			if took := time.Since(began); took > time.Duration(w.Slow*float64(10*time.Second)) {
				w.Errorf("%s took %v to drain", s.Name, took)
			}
			return fmt.Sprintf("pid %d ended after %d ms", pid, time.Since(began).Milliseconds())
		})
		d.Heal(func() { w.Restart(s); s.AwaitReady() })
		w.AwaitOK(300)
	}
	w.Finish()
	for _, p := range w.Recorder.Run().Publishes {
		// Events without an answer at the end of a stream were never accepted.
		if p.Result == history.Unknown && p.Reason != "STREAM_ENDED" && p.Reason != "" {
			w.Errorf("the drain leaves %s unknown: %s %s", p.ID, p.Code, p.Reason)
			break
		}
	}
	return w.Expect()
}

// sidecarsKilled kills 100 times in the full set and less often in a short one.
func sidecarsKilled(w *rig.World) check.Expect {
	w.Start(rig.Setup{})
	for i := range w.Often(100, 12) {
		s := []*rig.Service{w.Checkout, w.Billing}[i%2]
		d := w.Disturb(fmt.Sprintf("kill %d, of %s", i+1, s.Name), func() string {
			pid := s.PID()
			s.Kill()
			return fmt.Sprintf("pid %d is gone", pid)
		})
		d.Heal(func() { w.Restart(s); s.AwaitReady() })
		w.AwaitOK(20)
	}
	w.AwaitOK(200)
	w.Finish()
	return w.Expect()
}

// noDescriptors: a sidecar that cannot open anything reports that and keeps running.
func noDescriptors(w *rig.World) check.Expect {
	w.Start(rig.Setup{Links: 1})
	var limit unix.Rlimit
	pid := w.Checkout.PID()
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		w.Fatal(err)
	}
	var idle []net.Conn
	closeAll := func() {
		for _, c := range idle {
			_ = c.Close()
		}
	}
	w.Cleanup(func() { closeAll() })
	d := w.Disturb("no descriptors", func() string {
		few := unix.Rlimit{Cur: 1, Max: limit.Max} // open descriptors stay open
		if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &few, nil); err != nil {
			w.Fatal(err)
		}
		dialer := net.Dialer{Timeout: time.Second}
		for range 8 { // connections that the sidecar cannot accept
			if c, err := dialer.DialContext(w.Context(), "tcp", w.Checkout.TCP); err == nil {
				idle = append(idle, c)
			}
		}
		w.Cut(w.Links[0])
		return fmt.Sprintf("limit of process %d is %d, and its connections are reset", pid, few.Cur)
	})
	from := w.Recorder.Now()
	w.Keep(3 * time.Second)
	until := w.Recorder.Now()
	d.Heal(func() {
		closeAll()
		if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
			w.Fatal(err)
		}
	})
	w.AwaitOK(200)
	w.Finish()
	var told int
	for _, p := range w.Recorder.Run().Publishes {
		if p.Start > from && p.End < until && p.Code == "Unavailable" && p.Reason != "" {
			told++
		}
	}
	if told == 0 {
		w.Errorf("no publish was told UNAVAILABLE while nothing could be opened")
	}
	e := w.Expect()
	e.MaxRecovery = 6 * time.Second // a backoff of 5 s may have begun
	return e
}
