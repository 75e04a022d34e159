package rabbit

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/internal/brokertest/one"
	"github.com/warrenmesh/warren/internal/localbroker"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/conn"
)

// TestWhatAServerDoesToItsClients changes a broker of its own, one thing after the
// other.
func TestWhatAServerDoesToItsClients(t *testing.T) {
	t.Parallel()
	u := server(t) // -short has no broker
	c, err := localbroker.StartCluster(t.Context(), localbroker.Options{Dir: filepath.Join(t.TempDir(), "server"), Want: localbroker.WantFrom(os.Getenv), Report: func(line string) { t.Log(line) }}, 1)
	if err != nil {
		t.Fatalf("start a broker: %v", err)
	}
	t.Cleanup(c.Stop)
	if u, err = amqp.ParseURI(c.Members[0].URL()); err != nil {
		t.Fatal(err)
	}
	for _, thing := range []struct {
		name string
		run  func(t *testing.T, u amqp.URI, m member)
	}{
		{"its largest message is learned from the refusal", tooLargeForTheServer},
		{"its alarm stops publishes and not consumers", alarmOfTheServer},
		{"its consumer timeout gives a delivery again", timedOutByTheServer},
		{"it freezes and is found dead by publishes and by consumers", frozenServer},
	} {
		t.Run(thing.name, func(t *testing.T) { thing.run(t, u, member{t, c.Members[0]}) })
	}
}

// member is a broker node that can be asked to misbehave.
type member struct {
	t *testing.T
	*localbroker.Member
}

func (m member) call(expression string) {
	m.t.Helper()
	if _, err := m.Call(m.t.Context(), expression); err != nil {
		m.t.Fatal(err)
	}
}

func tooLargeForTheServer(t *testing.T, u amqp.URI, m member) {
	// 3.10 reads the setting, 4.x what it made of it when it started.
	const limit = "application:set_env(rabbit, max_message_size, %[1]d), persistent_term:put(max_message_size, %[1]d)."
	m.call(fmt.Sprintf(limit, 1000))
	defer m.call(fmt.Sprintf(limit, 16<<20))
	f := newFixtureOn(t, u)
	queue := f.queue("q")
	large := toQueue(queue, "large")
	large.Event.Data = make([]byte, 1001)
	wantKind(t, f.publish(large), broker.TooLarge, broker.Failed)
	wantKind(t, f.publish(large), broker.TooLarge, broker.NotSent)
	large.Event.Data = make([]byte, 1000)
	f.mustPublish(large)
}

func alarmOfTheServer(t *testing.T, u amqp.URI, m member) {
	f := newFixtureOn(t, u)
	queue := f.queue("q")
	f.mustPublish(toQueue(queue, "1"))
	m.call("rabbit_alarm:set_alarm({{resource_limit, memory, node()}, []}).")
	cleared := false
	end := func() {
		if !cleared {
			m.call("rabbit_alarm:clear_alarm({resource_limit, memory, node()}).")
		}
		cleared = true
	}
	defer end()
	raised := time.Now()
	met, err := one.Publish(f.context(), f.node.Publish, *toQueue(queue, "2")) // the broker stops reading in the midst of it
	if err != nil {
		t.Fatal(err)
	}
	f.poll("publishes are refused", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		_, err := one.Publish(ctx, f.node.Publish, *toQueue(queue, "refused"))
		return broker.KindOf(err) == broker.Blocked
	})
	t.Logf("blocked after %v", time.Since(raised))
	in := f.consume(queue, 1)
	if err := in.next().Ack(); err != nil {
		t.Errorf("ack under an alarm: %v", err)
	}
	end()
	over := time.Now()
	if err := met.Wait(f.context()); err != nil {
		t.Errorf("the publish that met the alarm: %v", err)
	}
	f.poll("publishes go on", func() bool { return f.publish(toQueue(queue, "3")) == nil })
	t.Logf("resumed after %v", time.Since(over))
}

func timedOutByTheServer(t *testing.T, u amqp.URI, m member) {
	m.call("application:set_env(rabbit, consumer_timeout, 200), application:set_env(rabbit, channel_tick_interval, 100).")
	defer m.call("application:set_env(rabbit, consumer_timeout, 1800000), application:set_env(rabbit, channel_tick_interval, 60000).")
	f := newFixtureOn(t, u)
	queue := f.queue("q")
	f.mustPublish(toQueue(queue, "1"))
	in := f.consume(queue, 1)
	first, second := in.next(), in.next()
	if !second.Redelivered || second.Attempt != 2 || second.Epoch <= first.Epoch || second.Event.ID != "1" {
		t.Errorf("after the timeout came %+v", second)
	}
	if err := first.Ack(); err == nil {
		t.Error("a delivery of the closed channel was acked")
	}
}

func frozenServer(t *testing.T, u amqp.URI, m member) {
	f := newFixtureOn(t, u, func(o *Options) { o.Heartbeat = time.Minute })
	queue := f.queue("q")
	in := f.consume(queue, 10)
	f.mustPublish(toQueue(queue, "before"))
	if err := in.next().Ack(); err != nil {
		t.Fatal(err)
	}
	publishing, consuming := f.node.publish.Live(), f.node.consume.Live()
	if err := m.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	thaw := func() {
		if err := m.Thaw(); err != nil {
			t.Errorf("thaw: %v", err)
		}
	}
	frozen := time.Now()
	r, err := one.Publish(f.context(), f.node.Publish, *toQueue(queue, "unknown"))
	if err != nil {
		thaw()
		t.Fatal(err)
	}
	for name, s := range map[string]*conn.Session{"publish": publishing, "consume": consuming} {
		select {
		case <-s.Done():
			t.Logf("the %s connection was found dead by %v", name, time.Since(frozen))
		case <-time.After(patience):
			t.Errorf("the %s connection to a frozen broker is taken for living", name)
		}
	}
	thaw()
	wantKind(t, r.Wait(f.context()), broker.Closed, broker.Unknown)
	f.poll("the node publishes again", func() bool { return f.publish(toQueue(queue, "after")) == nil })
	for got := ""; got != "after"; {
		d := in.next()
		got = d.Event.ID
		_ = d.Ack()
	}
	t.Logf("resumed by %v", time.Since(frozen))
}
