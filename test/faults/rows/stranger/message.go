package stranger

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/faults/foreign"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/load"
	"github.com/warrenmesh/warren/test/faults/rig"
	"github.com/warrenmesh/warren/test/internal/rawamqp"
)

// Counter counts how often the services received each message of another program,
// and decides the outcome.
type Counter struct {
	mu  sync.Mutex
	got map[string]int // by subscription and tag
	// outcome of a delivery; the zero value dead-letters it.
	outcome load.Decision
}

// Beside decides about deliveries of events made from messages of other programs.
func (s *Counter) Beside(d *eventsv1.Delivery) (load.Decision, bool) {
	tag := foreign.TagOf(d.GetEvent().GetSource())
	if tag == "" {
		return load.Decision{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.got == nil {
		s.got = map[string]int{}
	}
	s.got[tag]++
	if s.outcome.Outcome != history.None {
		return s.outcome, true
	}
	return load.Decision{Outcome: history.Dead, Reason: "not ours"}, true
}

// most returns the message that was delivered most often, and how often.
func (s *Counter) most() (tag string, times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t, n := range s.got {
		if n > times {
			tag, times = t, n
		}
	}
	return tag, times
}

// Send publishes messages to an exchange and returns those that RabbitMQ accepted.
// RabbitMQ refuses some of them and closes the sender's connection.
func Send(w *rig.World, address, exchange string, messages []foreign.Message) (taken []foreign.Message) {
	w.Helper()
	var conn *rawamqp.Conn
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	for _, m := range messages {
		if conn == nil {
			var err error
			if conn, err = rawamqp.Dial(w.Context(), address); err != nil {
				w.Fatal(err)
			}
		}
		err := conn.Publish(exchange, "foreign."+m.Tag, m.Message)
		if err == nil {
			taken = append(taken, m)
			continue
		}
		conn.Close()
		conn = nil
		var refused *rawamqp.Refused
		if !errors.As(err, &refused) {
			w.Logf("%s (%s) cost its sender the connection: %v", m.Tag, m.Name, err)
			continue
		}
		w.Logf("%s (%s): %v", m.Tag, m.Name, refused)
	}
	return taken
}

// mirrored sends messages to a plain queue as well, and returns them as RabbitMQ
// delivers them from there. A change that RabbitMQ itself makes is then not counted as
// a loss.
func mirrored(w *rig.World, exchange string, send func() []foreign.Message) []foreign.Message {
	w.Helper()
	const mirror = "mirror"
	ch := w.PlainChannel()
	_, err := ch.QueueDeclare(mirror, true, false, false, false, amqp.Table{"x-queue-type": "classic"})
	if err == nil {
		err = ch.QueueBind(mirror, "foreign.#", exchange, false, nil)
	}
	if err != nil {
		w.Fatal(err)
	}
	taken := send()
	shown := read(w, mirror, rawamqp.Remove)
	if _, err := ch.QueueDelete(mirror, false, false, false); err != nil {
		w.Fatal(err)
	}
	for i, m := range taken {
		if len(shown[m.Tag]) != 1 || shown[m.Tag][0].Broken != nil {
			continue // otherwise compare with what was sent
		}
		if lost := m.Lost(&shown[m.Tag][0].Message); len(lost) > 0 {
			w.Logf("RabbitMQ itself delivers %s (%s) changed: %s", m.Tag, m.Name, strings.Join(lost, "; "))
			taken[i].Message = shown[m.Tag][0].Message
		}
	}
	return taken
}

// setAside waits until the dead-letter queue of a subscription has each of the
// messages, and checks that it has each of them once and complete.
func setAside(w *rig.World, subscription string, sent []foreign.Message) {
	w.Helper()
	queue := w.QueueName(subscription) + rig.DeadSuffix
	var have map[string][]rawamqp.Got
	complete := w.Within(w.Slowly(15*time.Second), func() bool {
		have = read(w, queue, rawamqp.Keep)
		return len(have) >= len(sent)
	})
	if !complete {
		w.Errorf("%s has %d of %d messages of other programs", queue, len(have), len(sent))
	}
	whole(w, queue, sent, have)
}

// read reads the messages of other programs in a queue, by their tags.
func read(w *rig.World, queue string, taking rawamqp.Taking) map[string][]rawamqp.Got {
	w.Helper()
	messages, err := rawamqp.Take(w.Context(), w.URL(), queue, taking)
	if err != nil {
		w.Fatal(err)
	}
	out := map[string][]rawamqp.Got{}
	for _, m := range messages {
		if tag := rig.TagOf(&m); tag != "" {
			out[tag] = append(out[tag], m)
		}
	}
	return out
}

// whole compares the messages of a queue with the sent ones.
func whole(w *rig.World, queue string, sent []foreign.Message, have map[string][]rawamqp.Got) {
	w.Helper()
	const most = 12 // reported for each queue
	wrong := 0
	tell := func(format string, args ...any) {
		if wrong++; wrong <= most {
			w.Errorf(format, args...)
		}
	}
	for _, m := range sent {
		got := have[m.Tag]
		switch {
		case len(got) == 0:
			tell("%s: %s (%s, %s) is not there", queue, m.Tag, m.Kind, m.Name)
		case len(got) > 1:
			tell("%s: %s (%s, %s) is there %d times", queue, m.Tag, m.Kind, m.Name, len(got))
		case got[0].Broken != nil:
			tell("%s: %s (%s, %s): %v", queue, m.Tag, m.Kind, m.Name, got[0].Broken)
		default:
			if lost := lostOf(&m, &got[0]); len(lost) > 0 {
				tell("%s: %s (%s, %s) is not whole: %s", queue, m.Tag, m.Kind, m.Name, strings.Join(lost, "; "))
			}
		}
	}
	if wrong > most {
		w.Errorf("%s: %d more are wrong", queue, wrong-most)
	}
}

// lostOf describes the parts of a message that are missing in a dead letter. A message
// that a sidecar published also has properties and headers that the test did not set.
func lostOf(m *foreign.Message, got *rawamqp.Got) []string {
	if m.Kind != published {
		return m.Lost(&got.Message)
	}
	for _, f := range m.Headers {
		if value, _ := got.Header(f.Name); value != f.Value {
			return []string{fmt.Sprintf("header %q of %d bytes has %d", f.Name, len(f.Value), len(value))}
		}
	}
	return nil
}

// addUser creates a user for the run's vhost. The password is the name.
func addUser(w *rig.World, name string) {
	w.Helper()
	w.Call(`catch rabbit_auth_backend_internal:add_user(<<"%[1]s">>, <<"%[1]s">>, <<"rig">>),
rabbit_auth_backend_internal:set_permissions(<<"%[1]s">>, <<"%[2]s">>, <<".*">>, <<".*">>, <<".*">>, <<"rig">>).`, name, w.VHost)
}

// urlOf is url for another user, whose password is its name.
func urlOf(w *rig.World, user string) string {
	_, host, _ := strings.Cut(w.URL(), "@")
	return "amqp://" + user + ":" + user + "@" + host
}

// some returns the messages to send: all, or with short the first n. The first n cover
// every family.
func some(w *rig.World, n int) []foreign.Message {
	all := foreign.All()
	if w.Short {
		return all[:min(n, len(all))]
	}
	return all
}

// Kinds counts the messages of each family, for the proof.
func Kinds(messages []foreign.Message) string {
	count := map[string]int{}
	var names []string
	for _, m := range messages {
		if count[m.Kind]++; count[m.Kind] == 1 {
			names = append(names, m.Kind)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(count[b]-count[a], cmp.Compare(a, b)) })
	for i, n := range names {
		names[i] = fmt.Sprintf("%d %s", count[n], n)
	}
	return strings.Join(names, ", ")
}
