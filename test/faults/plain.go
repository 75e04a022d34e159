package faults

import (
	"regexp"
	"slices"

	amqp "github.com/rabbitmq/amqp091-go"
)

// saw reports whether a publish was answered with a reason.
func (w *World) saw(reason string) bool {
	for _, p := range w.Recorder.Run().Publishes {
		if p.Reason == reason {
			return true
		}
	}
	return false
}

// plainChannel is a channel of a plain AMQP client in the run's vhost.
func (w *World) plainChannel() *amqp.Channel {
	w.Helper()
	conn, err := amqp.Dial(w.url())
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

// connections lists the broker's processes for AMQP connections and for the channels
// that publish with confirms. It leaves out channels that consume, because they come
// and go as subscribers share partitions.
func (w *World) connections() []string {
	w.Helper()
	return processID.FindAllString(w.call(`rabbit_networking:connections() ++
[P || P <- rabbit_channel:list(), (catch rabbit_channel:info(P, [confirm])) =:= [{confirm, true}]].`), -1)
}

var processID = regexp.MustCompile(`<[^>]+>`)

// sameConnections checks that no connection and no channel was closed since. Call it
// before the load ends, which closes some.
func (w *World) sameConnections(before []string) {
	w.Helper()
	now := w.connections()
	for _, p := range before {
		if !slices.Contains(now, p) {
			w.Errorf("a connection or channel was closed: of %d that there were, %d are left", len(before), len(now))
			return
		}
	}
}
