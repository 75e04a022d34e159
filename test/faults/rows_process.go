package faults

import (
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
)

var processRows = []Scenario{
	{Row: 28, Name: "sigterm", Fault: "SIGTERM of both sidecars, one after the other, under load", Nodes: 1, Short: true, Quick: true, run: sigterm},
	{Row: 29, Name: "sidecars-killed", Fault: "kill -9 of a sidecar, the publishers' and the services' in turn", Nodes: 1, Short: true, Patience: 4 * time.Minute, run: sidecarsKilled},
	{Row: 30, Name: "no-descriptors", Fault: "no file descriptor left, then every connection reset", Nodes: 1, Short: true, run: noDescriptors},
}

// sigterm: every accepted call gets an answer with its outcome.
func sigterm(w *World) check.Expect {
	w.start(setup{})
	for _, s := range []*service{w.checkout, w.billing} {
		d := w.disturb("SIGTERM of "+s.name, func() string {
			began := time.Now()
			pid := s.PID()
			s.Signal(syscall.SIGTERM)
			if code := s.AwaitExit(time.Minute); code != 0 {
				w.Errorf("%s exits with %d", s.name, code)
			}
			if took := time.Since(began); took > time.Duration(w.slow*float64(10*time.Second)) {
				w.Errorf("%s took %v to drain", s.name, took)
			}
			return fmt.Sprintf("pid %d ended after %d ms", pid, time.Since(began).Milliseconds())
		})
		d.heal(func() { w.again(s); s.AwaitReady() })
		w.awaitOK(300)
	}
	w.finish()
	for _, p := range w.Recorder.Run().Publishes {
		// Events without an answer at the end of a stream were never accepted.
		if p.Result == history.Unknown && p.Reason != "STREAM_ENDED" && p.Reason != "" {
			w.Errorf("the drain leaves %s unknown: %s %s", p.ID, p.Code, p.Reason)
			break
		}
	}
	return w.expect()
}

// sidecarsKilled kills 100 times in the full set and less often in a short one.
func sidecarsKilled(w *World) check.Expect {
	w.start(setup{})
	for i := range w.often(100, 12) {
		s := []*service{w.checkout, w.billing}[i%2]
		d := w.disturb(fmt.Sprintf("kill %d, of %s", i+1, s.name), func() string {
			pid := s.PID()
			s.Kill()
			return fmt.Sprintf("pid %d is gone", pid)
		})
		d.heal(func() { w.again(s); s.AwaitReady() })
		w.awaitOK(20)
	}
	w.awaitOK(200)
	w.finish()
	return w.expect()
}

// noDescriptors: a sidecar that cannot open anything reports that and keeps running.
func noDescriptors(w *World) check.Expect {
	w.start(setup{links: 1})
	var limit unix.Rlimit
	pid := w.checkout.PID()
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
	d := w.disturb("no descriptors", func() string {
		few := unix.Rlimit{Cur: 1, Max: limit.Max} // open descriptors stay open
		if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &few, nil); err != nil {
			w.Fatal(err)
		}
		dialer := net.Dialer{Timeout: time.Second}
		for range 8 { // connections that the sidecar cannot accept
			if c, err := dialer.DialContext(w.Context(), "tcp", w.checkout.TCP); err == nil {
				idle = append(idle, c)
			}
		}
		w.cut(w.Links[0])
		return fmt.Sprintf("limit of process %d is %d, and its connections are reset", pid, few.Cur)
	})
	from := w.Recorder.Now()
	w.keep(3 * time.Second)
	until := w.Recorder.Now()
	d.heal(func() {
		closeAll()
		if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
			w.Fatal(err)
		}
	})
	w.awaitOK(200)
	w.finish()
	var told int
	for _, p := range w.Recorder.Run().Publishes {
		if p.Start > from && p.End < until && p.Code == "Unavailable" && p.Reason != "" {
			told++
		}
	}
	if told == 0 {
		w.Errorf("no publish was told UNAVAILABLE while nothing could be opened")
	}
	e := w.expect()
	e.MaxRecovery = 6 * time.Second // a backoff of 5 s may have begun
	return e
}

// often is a number of repetitions: full, or short in a short set.
func (w *World) often(full, short int) int {
	if w.short {
		return short
	}
	return full
}
