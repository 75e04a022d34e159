package faults

import (
	"fmt"
	"time"

	"github.com/warrenmesh/warren/internal/localbroker"
	"github.com/warrenmesh/warren/test/faults/check"
)

var brokerRows = []Scenario{
	{Row: 1, Name: "broker-killed", Fault: "kill -9 of the broker, and its restart", Nodes: 1, Short: true, Quick: true, run: brokerKilled},
	{Row: 2, Name: "broker-app-stopped", Fault: "stop_app, then start_app", Nodes: 1, Short: true, run: brokerAppStopped},
}

// brokerKilled: everything durable survives, and service resumes when the port opens.
func brokerKilled(w *World) check.Expect {
	w.start(setup{})
	m := w.Members[0]
	d := w.disturb("kill -9", func() string { return w.kill(m) })
	w.keep(time.Second)
	d.heal(func() { w.boot(m) })
	w.awaitOK(500)
	w.finish()
	return w.expect()
}

// brokerAppStopped: events that wait for their retry survive, too.
func brokerAppStopped(w *World) check.Expect {
	w.start(hesitant())
	retries := w.retries()
	d := w.disturb("stop_app", func() string {
		w.call("rabbit:stop().")
		if w.call("rabbit:is_running().") != "false" {
			return ""
		}
		return "the node says that RabbitMQ does not run"
	})
	d.prove(retries)
	w.keep(time.Second)
	d.heal(func() { w.call("rabbit:start().") })
	w.awaitOK(500)
	w.finish()
	return w.expect()
}

// kill kills a member and returns the proof.
func (w *World) kill(m *localbroker.Member) (proof string) {
	w.Helper()
	pid, err := m.PID()
	if err != nil {
		w.Fatal(err)
	}
	if err := m.Kill(w.Context()); err != nil {
		w.Fatal(err)
	}
	if _, err := m.PID(); err == nil {
		return ""
	}
	return fmt.Sprintf("pid %d is gone", pid)
}

// boot starts dead members at the same time and returns when they answer.
func (w *World) boot(members ...*localbroker.Member) {
	w.Helper()
	errs := make(chan error, len(members))
	for _, m := range members {
		go func() { errs <- m.Start(w.Context()) }()
	}
	for range members {
		if err := <-errs; err != nil {
			w.Fatal(err)
		}
	}
}
