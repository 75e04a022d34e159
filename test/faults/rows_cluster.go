package faults

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/warrenmesh/warren/internal/localbroker"
	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
)

var clusterRows = []Scenario{
	{Row: 3, Name: "leader-killed", Fault: "kill -9 of the node that leads the queues, channels warm", Nodes: 3, Short: true, run: leaderKilled},
	{Row: 4, Name: "leader-killed-cold", Fault: "the same, the first publishes fall into the failover", Nodes: 3, run: leaderKilledCold},
	{Row: 5, Name: "follower-killed", Fault: "kill -9 of a node that leads no queue", Nodes: 3, run: followerKilled},
	{Row: 6, Name: "majority-killed", Fault: "kill -9 of two nodes of three for 10 s", Nodes: 3, run: majorityKilled},
	{Row: 7, Name: "all-killed", Fault: "kill -9 of all three nodes", Nodes: 3, run: allKilled},
	{Row: 8, Name: "leader-frozen", Fault: "SIGSTOP of the node that leads the queues for 20 s", Nodes: 3, Short: true, run: leaderFrozen},
}

// leaderKilled: no caller notices. Nothing waits in delay queues meanwhile: after a
// leader's death, a message that leaves a delay queue can be held back for three
// minutes, for which RabbitMQ waits for its own confirm
// (dead_letter_worker_publisher_confirm_timeout).
func leaderKilled(w *World) check.Expect {
	w.start(setup{})
	leader := w.leader()
	d := w.disturb("kill -9 of the leader", func() string { return w.kill(leader) + ", which led " + w.queueName(billing) })
	d.heal(nil)
	w.awaitOK(1000)
	w.boot(leader)
	w.awaitOK(200)
	w.finish()
	e := w.expect()
	e.MaxRecovery = time.Second
	return e
}

// leaderKilledCold: a channel whose first publish happens during the failover must not
// be nacked for as long as the dead node is away.
func leaderKilledCold(w *World) check.Expect {
	w.start(setup{idle: true})
	m := standard()
	w.subscribe(m)
	leader := w.leader()
	d := w.disturb("kill -9 of the leader", func() string {
		proof := w.kill(leader)
		w.publish(m)
		return proof + ", then the first publish"
	})
	d.heal(nil)
	w.awaitOK(1000)
	late := d.fault.Healed + 1500*time.Millisecond
	w.boot(leader)
	w.finish()
	for _, p := range w.Recorder.Run().Publishes {
		if p.Reason == "PUBLISH_NACKED" && p.Start > late {
			w.Errorf("a publish %v after the leader's death is nacked", p.Start-d.fault.Injected)
			break
		}
	}
	e := w.expect()
	e.MinInFlight = 0        // the load begins after the fault
	e.Growth.Goroutines = 96 // the goroutines of the load are no leak
	return e
}

func followerKilled(w *World) check.Expect {
	w.start(setup{})
	leader := w.leader()
	w.lead(leader)
	follower := w.Members[(slices.Index(w.Members, leader)+1)%len(w.Members)]
	d := w.disturb("kill -9 of a follower", func() string { return w.kill(follower) })
	d.heal(nil)
	w.awaitOK(1000)
	w.boot(follower)
	w.finish()
	for _, p := range w.Recorder.Run().Publishes {
		if p.Result != history.OK {
			w.Errorf("the death of a follower shows: %s is %v, %s %s", p.ID, p.Result, p.Code, p.Reason)
			break
		}
	}
	return w.expect()
}

func majorityKilled(w *World) check.Expect {
	w.start(setup{})
	leader := w.leader()
	dead := []*localbroker.Member{leader, w.Members[(slices.Index(w.Members, leader)+1)%len(w.Members)]}
	d := w.disturb("kill -9 of two of three", func() string { return w.kill(dead[0]) + ", " + w.kill(dead[1]) })
	w.keep(10 * time.Second)
	d.heal(func() { w.boot(dead...) })
	w.awaitOK(500)
	w.finish()
	e := w.expect()
	e.MaxRecovery = 5 * time.Second // the two nodes must first elect a leader
	return e
}

func allKilled(w *World) check.Expect {
	w.start(setup{})
	d := w.disturb("kill -9 of all three", func() string {
		var proofs []string
		for _, m := range w.Members {
			proofs = append(proofs, w.kill(m))
		}
		return strings.Join(proofs, ", ")
	})
	d.heal(func() { w.boot(w.Members...) })
	w.awaitOK(500)
	w.finish()
	e := w.expect()
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
func leaderFrozen(w *World) check.Expect {
	const freeze = 20 * time.Second
	w.start(setup{})
	leader := w.leader()
	held := w.activeConsumers(ledger, leader)
	d := w.disturb("SIGSTOP of the leader", func() string {
		return w.freeze(leader)
	})
	w.Cleanup(func() { _ = leader.Thaw() })
	d.prove(fmt.Sprintf("it held the active consumers of %d of %d ordered partitions", held, partitions))
	d.heal(nil)
	w.keep(freeze)
	w.thaw(leader)
	if w.short {
		w.keep(8 * time.Second) // long enough for many events, because three nodes are slow
	}
	w.awaitOK(500)
	w.finish()
	e := w.expect()
	e.MaxRecovery = 12 * time.Second
	if held > 0 {
		w.subscription(&e, ledger).MaxRecovery = freeze + 3*time.Second
	}
	e.MoreDuplicates += 4 * e.MoreDuplicates // each try of an event that waited for the frozen node may have left a copy
	return e
}

// activeConsumers counts the partitions of an ordered subscription whose active
// consumer is attached through a member.
func (w *World) activeConsumers(subscription string, m *localbroker.Member) int {
	w.Helper()
	text := w.call(`length([C || Q <- rabbit_amqqueue:list(<<"%s">>),
lists:prefix("%s.", binary_to_list(element(4, amqqueue:get_name(Q)))),
C <- rabbit_amqqueue:consumers(Q), element(5, C), node(element(1, C)) =:= '%s']).`, w.vhost, w.queueName(subscription), m.Name())
	n, err := strconv.Atoi(text)
	if err != nil {
		w.Fatalf("count active consumers: %v", err)
	}
	return n
}

// freeze stops a member and returns the proof.
func (w *World) freeze(m *localbroker.Member) (proof string) {
	w.Helper()
	pid, err := m.PID()
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.Context(), 5*time.Second)
	defer cancel()
	if err := m.Freeze(ctx); err != nil {
		w.Fatal(err)
	}
	return fmt.Sprintf("no thread of pid %d runs", pid)
}

func (w *World) thaw(m *localbroker.Member) {
	w.Helper()
	if err := m.Thaw(); err != nil {
		w.Fatal(err)
	}
}

// queueName is the name of a subscription's queue on the broker.
func (w *World) queueName(subscription string) string { return w.namespace + "." + subscription }

// leader is the member that leads the unordered subscription's queue.
func (w *World) leader() *localbroker.Member {
	w.Helper()
	name := w.call(`{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"%s">>, queue, <<"%s">>)), {_, N} = amqqueue:get_pid(Q), N.`, w.vhost, w.queueName(billing))
	for _, m := range w.Members {
		if strings.Trim(name, "'") == m.Name() {
			return m
		}
	}
	w.Fatalf("%s leads, which is no member", name)
	return nil
}

// lead makes a member the leader of every quorum queue. The queues with which sidecars
// watch dead letters are classic.
func (w *World) lead(m *localbroker.Member) {
	w.Helper()
	w.call(`[rabbit_quorum_queue:transfer_leadership(Q, '%[1]s')
|| Q <- rabbit_amqqueue:list(<<"%[2]s">>), amqqueue:get_type(Q) =:= rabbit_quorum_queue, element(2, amqqueue:get_pid(Q)) =/= '%[1]s'].`, m.Name(), w.vhost)
	w.keep(300 * time.Millisecond)
}
