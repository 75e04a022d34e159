package rig

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/internal/localbroker"
)

// URL is the AMQP URL of the first running member, with the run's vhost.
func (w *World) URL() string {
	for _, m := range w.Members {
		if _, err := m.PID(); err == nil {
			return strings.TrimSuffix(m.URL(), "/") + "/" + w.VHost
		}
	}
	w.Fatal("no broker runs")
	return ""
}

// PlainChannel is a channel of a plain AMQP client in the run's vhost.
func (w *World) PlainChannel() *amqp.Channel {
	w.Helper()
	conn, err := amqp.Dial(w.URL())
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		w.Fatal(err)
	}
	return ch
}

// Connections lists the broker's processes for AMQP connections and for the channels
// that publish with confirms. It leaves out channels that consume, because they come
// and go as subscribers share partitions.
func (w *World) Connections() []string {
	w.Helper()
	return processID.FindAllString(w.Call(`rabbit_networking:connections() ++
[P || P <- rabbit_channel:list(), (catch rabbit_channel:info(P, [confirm])) =:= [{confirm, true}]].`), -1)
}

var processID = regexp.MustCompile(`<[^>]+>`)

// SameConnections checks that no connection and no channel was closed since. Call it
// before the load ends, which closes some.
func (w *World) SameConnections(before []string) {
	w.Helper()
	now := w.Connections()
	for _, p := range before {
		if !slices.Contains(now, p) {
			w.Errorf("a connection or channel was closed: of %d that there were, %d are left", len(before), len(now))
			return
		}
	}
}

// BootTime bounds the start of a node. It is long enough for a busy machine.
const BootTime = 4 * time.Minute

// Erlang that raises the alarms of RabbitMQ, and Erlang that ends them.
const (
	MemoryAlarmOn  = "vm_memory_monitor:set_vm_memory_high_watermark(0.000001)."
	MemoryAlarmOff = "vm_memory_monitor:set_vm_memory_high_watermark(0.4)."
	DiskAlarmOn    = "rabbit_disk_monitor:set_disk_free_limit(1000000000000000)."
	DiskAlarmOff   = "rabbit_disk_monitor:set_disk_free_limit(64000000)."
)

// RaiseAlarm raises an alarm. It returns the proof that the broker lists it.
func (w *World) RaiseAlarm(on string) string {
	w.Helper()
	w.Call("%s", on)
	var alarms string
	w.Within(5*time.Second, func() bool {
		alarms = w.Call("rabbit_alarm:get_alarms().")
		return alarms != "[]"
	})
	if alarms == "[]" {
		return ""
	}
	return "alarm listed: " + strings.Fields(strings.ReplaceAll(alarms, ",", " "))[1]
}

// Kill kills a member and returns the proof.
func (w *World) Kill(m *localbroker.Member) (proof string) {
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

// Boot starts dead members at the same time and returns when they answer.
func (w *World) Boot(members ...*localbroker.Member) {
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

// ActiveConsumers counts the partitions of an ordered subscription whose active
// consumer is attached through a member.
func (w *World) ActiveConsumers(subscription string, m *localbroker.Member) int {
	w.Helper()
	text := w.Call(`length([C || Q <- rabbit_amqqueue:list(<<"%s">>),
lists:prefix("%s.", binary_to_list(element(4, amqqueue:get_name(Q)))),
C <- rabbit_amqqueue:consumers(Q), element(5, C), node(element(1, C)) =:= '%s']).`, w.VHost, w.QueueName(subscription), m.Name())
	n, err := strconv.Atoi(text)
	if err != nil {
		w.Fatalf("count active consumers: %v", err)
	}
	return n
}

// Freeze stops a member and returns the proof.
func (w *World) Freeze(m *localbroker.Member) (proof string) {
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

// Thaw lets a frozen member continue.
func (w *World) Thaw(m *localbroker.Member) {
	w.Helper()
	if err := m.Thaw(); err != nil {
		w.Fatal(err)
	}
}

// Leader is the member that leads the unordered subscription's queue.
func (w *World) Leader() *localbroker.Member {
	w.Helper()
	name := w.Call(`{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"%s">>, queue, <<"%s">>)), {_, N} = amqqueue:get_pid(Q), N.`, w.VHost, w.QueueName(Billing))
	for _, m := range w.Members {
		if strings.Trim(name, "'") == m.Name() {
			return m
		}
	}
	w.Fatalf("%s leads, which is no member", name)
	return nil
}

// Lead makes a member the leader of every quorum queue. The queues with which sidecars
// watch dead letters are classic.
func (w *World) Lead(m *localbroker.Member) {
	w.Helper()
	w.Call(`[rabbit_quorum_queue:transfer_leadership(Q, '%[1]s')
|| Q <- rabbit_amqqueue:list(<<"%[2]s">>), amqqueue:get_type(Q) =:= rabbit_quorum_queue, element(2, amqqueue:get_pid(Q)) =/= '%[1]s'].`, m.Name(), w.VHost)
	w.Keep(300 * time.Millisecond)
}

// ByVersion compares versions of RabbitMQ, to sort the newest first.
func ByVersion(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(x), len(y)) {
		m, _ := strconv.Atoi(x[i]) // a part that is no number sorts last
		n, _ := strconv.Atoi(y[i])
		if m != n {
			return cmp.Compare(n, m)
		}
	}
	return cmp.Compare(len(y), len(x))
}

// Call evaluates Erlang on the first running member.
func (w *World) Call(format string, args ...any) string {
	w.Helper()
	var reasons []string
	for _, m := range w.Members {
		ctx, cancel := context.WithTimeout(w.Context(), 20*time.Second)
		value, err := m.Call(ctx, fmt.Sprintf(format, args...))
		cancel()
		if err == nil {
			return value
		}
		reasons = append(reasons, err.Error())
	}
	w.Fatal(strings.Join(slices.Compact(reasons), "; "))
	return ""
}

// CreateVHost creates the vhost and returns when it runs on every node. A node that was
// booting while the vhost was created would never run it, and would refuse its clients.
func (w *World) CreateVHost() {
	w.Helper()
	w.Call(`rabbit_vhost:add(<<"%[1]s">>, <<"rig">>),
rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"%[1]s">>, <<".*">>, <<".*">>, <<".*">>, <<"rig">>).`, w.VHost)
	w.Cleanup(func() { w.DeleteVHost(w.VHost) })
	for _, m := range w.Members {
		w.Await("the vhost runs on "+m.Name(), time.Minute, func() bool {
			alive, err := m.Call(w.Context(), fmt.Sprintf(`rabbit_vhost_sup_sup:is_vhost_alive(<<"%s">>).`, w.VHost))
			return err == nil && alive == "true"
		})
	}
}

// DeleteVHost deletes a vhost with its contents, if it exists.
func (w *World) DeleteVHost(name string) {
	w.Helper()
	w.Call(`case rabbit_vhost:exists(<<"%[1]s">>) of true -> rabbit_vhost:delete(<<"%[1]s">>, <<"rig">>); false -> ok end.`, name)
}
