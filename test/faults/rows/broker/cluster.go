package broker

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/warrenmesh/warren/internal/localbroker"
	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/rig"
)

var clusterRows = []rig.Scenario{
	{Row: 3, Name: "leader-killed", Fault: "The rig kills the node that leads the queues with kill -9, while events flow", Nodes: 3, Short: true, Run: leaderKilled},
	{Row: 4, Name: "leader-killed-cold", Fault: "The rig kills the node that leads the queues with kill -9, and the first events are published during the failover", Nodes: 3, Run: leaderKilledCold},
	{Row: 5, Name: "follower-killed", Fault: "The rig kills a node that leads no queue with kill -9", Nodes: 3, Run: followerKilled},
	{Row: 6, Name: "majority-killed", Fault: "The rig kills two nodes of three with kill -9 and starts them again after 10 s", Nodes: 3, Run: majorityKilled},
	{Row: 7, Name: "all-killed", Fault: "The rig kills all three nodes with kill -9 and starts them again", Nodes: 3, Run: allKilled},
	{Row: 8, Name: "leader-frozen", Fault: "The rig freezes the node that leads the queues with SIGSTOP for 20 s", Nodes: 3, Short: true, Run: leaderFrozen},
}

// leaderKilled: no caller notices. Nothing waits in delay queues meanwhile: after a
// leader's death, a message that leaves a delay queue can be held back for three
// minutes, for which RabbitMQ waits for its own confirm
// (dead_letter_worker_publisher_confirm_timeout).
func leaderKilled(w *rig.World) check.Expect {
	w.Start(rig.Setup{})
	leader := w.Leader()
	d := w.Disturb("kill -9 of the leader", func() string { return w.Kill(leader) + ", which led " + w.QueueName(rig.Billing) })
	d.Heal(nil)
	w.AwaitOK(1000)
	w.Boot(leader)
	w.AwaitOK(200)
	w.Finish()
	e := w.Expect()
	e.MaxRecovery = time.Second
	return e
}

// leaderKilledCold: a channel whose first publish happens during the failover must not
// be nacked for as long as the dead node is away.
func leaderKilledCold(w *rig.World) check.Expect {
	w.Start(rig.Setup{Idle: true})
	m := rig.Standard()
	w.Subscribe(m)
	leader := w.Leader()
	d := w.Disturb("kill -9 of the leader", func() string {
		proof := w.Kill(leader)
		w.Publish(m)
		return proof + ", then the first publish"
	})
	d.Heal(nil)
	w.AwaitOK(1000)
	late := d.Fault.Healed + 1500*time.Millisecond
	w.Boot(leader)
	w.Finish()
	for _, p := range w.Recorder.Run().Publishes {
		if p.Reason == "PUBLISH_NACKED" && p.Start > late {
			w.Errorf("a publish %v after the leader's death is nacked", p.Start-d.Fault.Injected)
			break
		}
	}
	e := w.Expect()
	e.MinInFlight = 0        // the load begins after the fault
	e.Growth.Goroutines = 96 // the goroutines of the load are no leak
	return e
}

func followerKilled(w *rig.World) check.Expect {
	w.Start(rig.Setup{})
	leader := w.Leader()
	w.Lead(leader)
	follower := w.Members[(slices.Index(w.Members, leader)+1)%len(w.Members)]
	d := w.Disturb("kill -9 of a follower", func() string { return w.Kill(follower) })
	d.Heal(nil)
	w.AwaitOK(1000)
	w.Boot(follower)
	w.Finish()
	for _, p := range w.Recorder.Run().Publishes {
		if p.Result != history.OK {
			w.Errorf("the death of a follower shows: %s is %v, %s %s", p.ID, p.Result, p.Code, p.Reason)
			break
		}
	}
	return w.Expect()
}

func majorityKilled(w *rig.World) check.Expect {
	w.Start(rig.Setup{})
	leader := w.Leader()
	dead := []*localbroker.Member{leader, w.Members[(slices.Index(w.Members, leader)+1)%len(w.Members)]}
	d := w.Disturb("kill -9 of two of three", func() string { return w.Kill(dead[0]) + ", " + w.Kill(dead[1]) })
	w.Keep(10 * time.Second)
	d.Heal(func() { w.Boot(dead...) })
	w.AwaitOK(500)
	w.Finish()
	e := w.Expect()
	e.MaxRecovery = 5 * time.Second // the two nodes must first elect a leader
	return e
}

func allKilled(w *rig.World) check.Expect {
	w.Start(rig.Setup{})
	d := w.Disturb("kill -9 of all three", func() string {
		var proofs []string
		for _, m := range w.Members {
			proofs = append(proofs, w.Kill(m))
		}
		return strings.Join(proofs, ", ")
	})
	d.Heal(func() { w.Boot(w.Members...) })
	w.AwaitOK(500)
	w.Finish()
	e := w.Expect()
	e.MaxRecovery = 5 * time.Second
	return e
}

// leaderFrozen: a frozen node answers nothing and closes nothing. The watchdog gives up
// its connections, and publishes and deliveries continue as soon as the other nodes
// have elected leaders. But RabbitMQ keeps the consumers that were attached through the
// frozen node until it thaws or net_ticktime ends. It gives an ordered partition whose
// active consumer was one of them to no other consumer, which no client can change.
// Without such a partition, the ordered subscription has the same bound as everything
// else.
func leaderFrozen(w *rig.World) check.Expect {
	const freeze = 20 * time.Second
	w.Start(rig.Setup{})
	leader := w.Leader()
	held := w.ActiveConsumers(rig.Ledger, leader)
	d := w.Disturb("SIGSTOP of the leader", func() string {
		return w.Freeze(leader)
	})
	w.Cleanup(func() { _ = leader.Thaw() })
	d.Prove(fmt.Sprintf("it held the active consumers of %d of %d ordered partitions", held, rig.Partitions))
	d.Heal(nil)
	w.Keep(freeze)
	w.Thaw(leader)
	if w.Short {
		w.Keep(8 * time.Second) // long enough for many events, because three nodes are slow
	}
	w.AwaitOK(500)
	w.Finish()
	e := w.Expect()
	e.MaxRecovery = 12 * time.Second
	if held > 0 {
		w.Subscription(&e, rig.Ledger).MaxRecovery = freeze + 3*time.Second
	}
	e.MoreDuplicates += 4 * e.MoreDuplicates // each try of an event that waited for the frozen node may have left a copy
	return e
}
