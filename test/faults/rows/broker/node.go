package broker

import (
	"time"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/rig"
)

var brokerRows = []rig.Scenario{
	{Row: 1, Name: "broker-killed", Fault: "The rig kills the broker with kill -9 and starts it again", Nodes: 1, Short: true, Quick: true, Run: brokerKilled},
	{Row: 2, Name: "broker-app-stopped", Fault: "The rig stops RabbitMQ inside its node with stop_app and starts it with start_app", Nodes: 1, Short: true, Run: brokerAppStopped},
}

// brokerKilled: everything durable survives, and service resumes when the port opens.
func brokerKilled(w *rig.World) check.Expect {
	w.Start(rig.Setup{})
	m := w.Members[0]
	d := w.Disturb("kill -9", func() string { return w.Kill(m) })
	w.Keep(time.Second)
	d.Heal(func() { w.Boot(m) })
	w.AwaitOK(500)
	w.Finish()
	e := w.Expect()
	e.SlowPublishes = true
	return e
}

// brokerAppStopped: events that wait for their retry survive, too.
func brokerAppStopped(w *rig.World) check.Expect {
	w.Start(rig.Hesitant())
	retries := w.Retries()
	d := w.Disturb("stop_app", func() string {
		w.Call("rabbit:stop().")
		if w.Call("rabbit:is_running().") != "false" {
			return ""
		}
		return "the node says that RabbitMQ does not run"
	})
	d.Prove(retries)
	w.Keep(time.Second)
	d.Heal(func() { w.Call("rabbit:start().") })
	w.AwaitOK(500)
	w.Finish()
	e := w.Expect()
	e.SlowPublishes = true
	return e
}
