package conn

import "sync/atomic"

// Alarm is whether the broker blocks the connection. The zero value is clear. It is
// set by one goroutine at a time; reading it takes no lock, for every publish does.
type Alarm struct {
	now atomic.Pointer[condition] // nil is clear, with nobody waiting
}

// condition is one period with or without the alarm.
type condition struct {
	on     bool
	reason string
	raised chan struct{} // closed while on
}

// closedSignal is the signal of an alarm that is raised.
var closedSignal = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Set raises the alarm, or ends it.
func (a *Alarm) Set(on bool, reason string) {
	if was, _ := a.State(); was == on {
		return
	}
	if !on {
		a.now.Store(nil)
		return
	}
	if before := a.now.Swap(&condition{on: true, reason: reason, raised: closedSignal}); before != nil {
		close(before.raised)
	}
}

// State returns whether the alarm is raised, and the broker's reason.
func (a *Alarm) State() (on bool, reason string) {
	if c := a.now.Load(); c != nil {
		return c.on, c.reason
	}
	return false, ""
}

// Signal returns a channel that is closed when the alarm is, or gets, raised.
func (a *Alarm) Signal() <-chan struct{} {
	for {
		if c := a.now.Load(); c != nil {
			return c.raised
		}
		a.now.CompareAndSwap(nil, &condition{raised: make(chan struct{})})
	}
}
