package metrics_test

import (
	"testing"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/metrics"
)

var mainBroker = mesh.Name{Namespace: "shop", Name: "main"}

func TestASidecarsStateIsReadWhenSomebodyLooks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	state := metrics.State{}
	stop, err := metrics.Watch(r.provider, func() metrics.State { return state })
	if err != nil {
		t.Fatal(err)
	}
	r.want("warren.ready {} 0", "warren.xds.connected {} 0", "warren.delivery.stale_settlements {message}{} 0")

	state = metrics.State{
		Ready: true, Stale: 3,
		Connections: []metrics.Connection{
			{Broker: mainBroker, State: broker.State{Address: "rabbit:5672", Consuming: true, Blocked: true}},
			{Broker: mainBroker, State: broker.State{Publishing: true, Gone: 2}},
		},
		Config: &metrics.Config{Version: "abc", FromDisk: true, At: time.Now().Add(-time.Hour)},
		XDS: metrics.XDS{Connected: true, LastContact: time.Now().Add(-time.Minute), Resources: map[metrics.Resource]int{
			{Type: "Listener", State: "ACKED"}: 2,
		}},
	}
	node := func(role, state, server, value string) string {
		s := "warren.broker.connections {connection}{"
		if server != "" {
			s += "server.address=" + server + " server.port=5672 "
		}
		return s + "warren.broker=shop/main warren.connection.role=" + role + " warren.connection.state=" + state + "} " + value
	}
	r.want(
		"warren.ready {} 1", "warren.xds.connected {} 1", "warren.delivery.stale_settlements {message}{} 3",
		"warren.config.age s{} 3600", "warren.xds.contact.age s{} 60",
		"warren.config.info {warren.config.source=disk warren.config.version=abc} 1",
		"warren.xds.resources {resource}{warren.xds.state=ACKED warren.xds.type=Listener} 2",
		node("publish", "up", "rabbit", "0"), node("publish", "blocked", "rabbit", "1"), node("publish", "down", "rabbit", "0"),
		node("consume", "up", "rabbit", "1"), node("consume", "blocked", "rabbit", "0"), node("consume", "down", "rabbit", "0"),
		"warren.broker.queues.gone {queue}{server.address=rabbit server.port=5672 warren.broker=shop/main} 0",
		"warren.broker.queues.gone {queue}{warren.broker=shop/main} 2",
		node("publish", "up", "", "1"), node("publish", "blocked", "", "0"), node("publish", "down", "", "0"),
		node("consume", "up", "", "0"), node("consume", "blocked", "", "0"), node("consume", "down", "", "1"))

	if err := stop(); err != nil {
		t.Fatal(err)
	}
	r.want()
}
