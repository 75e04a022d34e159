package envelope

import (
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

// death is what RabbitMQ says of the last time a message left a queue against its
// publisher's will (https://www.rabbitmq.com/docs/dlx#effects).
type death struct {
	queue    string
	reason   string
	exchange string // by which the message had come to the queue
	key      string
	time     time.Time
}

// firstDeath reads the first entry of x-death, which is the latest.
func firstDeath(t *message.Table) (d death, ok bool) {
	f, ok := t.Lookup(deathHeader)
	if !ok || f.Kind != message.KindArray {
		return d, false
	}
	entry, ok := f.First()
	if !ok {
		return d, false
	}
	table, err := message.ParseTable(entry.Raw)
	if entry.Kind != message.KindTable || err != nil {
		return d, false
	}
	d = death{queue: table.Text("queue"), reason: table.Text("reason"), exchange: table.Text("exchange")}
	if keys, ok := table.Lookup("routing-keys"); ok && keys.Kind == message.KindArray {
		if key, ok := keys.First(); ok {
			d.key, _ = key.Text()
		}
	}
	if at, ok := table.Lookup("time"); ok {
		seconds, _ := at.Seconds()
		d.time = time.Unix(seconds, 0).UTC()
	}
	return d, true
}

// reasons are RabbitMQ's, in the words of package broker.
var reasons = map[string]string{
	"rejected":       broker.ReasonSetAside,
	"expired":        broker.ReasonExpired,
	"maxlen":         broker.ReasonMaxLength,
	"delivery_limit": broker.ReasonDeliveryLimit,
}

// decodeDeath makes a dead letter of what the broker itself put into a dead-letter
// queue. A letter that Warren wrote has no x-death: its copies never do.
func decodeDeath(out *queueing.Delivery, t *message.Table) {
	d, ok := firstDeath(t)
	if !ok {
		return
	}
	if d.exchange != "" {
		out.Origin = broker.Origin{Name: d.exchange, Key: d.key}
	}
	reason := reasons[d.reason]
	if reason == "" {
		reason = d.reason
	}
	out.DeadLetter = &broker.DeadLetter{
		Reason: reason, Detail: "by the broker, in queue " + d.queue, Origin: out.Origin,
		Attempts: out.Attempt, FirstFailure: out.FirstFailure, Time: d.time, Part: d.queue,
	}
}
