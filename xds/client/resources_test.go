package client

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire"
)

func name(tb testing.TB, s string) mesh.Name {
	tb.Helper()
	n, err := mesh.ParseName(s, "")
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// topicTo is a topic whose one rule spreads events over backends of these brokers.
func topicTo(topic mesh.Name, brokers ...mesh.Name) *mesh.Topic {
	rule := mesh.Rule{Retry: mesh.Retry{
		Attempts: 3, On: []mesh.RetryOn{mesh.OnConnectFailure},
		Backoff: mesh.Backoff{Base: 50 * time.Millisecond, Max: time.Second},
	}}
	for i, b := range brokers {
		backend := topic
		if i > 0 {
			backend.Name = fmt.Sprintf("%s-%d", topic.Name, i)
		}
		rule.Backends = append(rule.Backends, mesh.Backend{Weight: 1, Destination: mesh.Destination{
			Topic: backend, Broker: b, Exchange: mesh.Exchange{Name: backend.Name, Type: "topic"},
			RoutingKey: "{type}", Mandatory: true, Persistent: true, ConfirmTimeout: 2 * time.Second, MaxEventBytes: 1 << 20,
		}})
	}
	return &mesh.Topic{Name: topic, Rules: []mesh.Rule{rule}}
}

func brokerAt(broker mesh.Name, typ mesh.BrokerType, addresses ...string) *mesh.Broker {
	b := &mesh.Broker{Name: broker, Type: typ, VHost: "/", Topology: mesh.Manage, Heartbeat: 10 * time.Second}
	for _, a := range addresses {
		b.Nodes = append(b.Nodes, mesh.Node{Address: a})
	}
	return b
}

func subscriptionOn(sub, topic, broker mesh.Name) *mesh.Subscription {
	return &mesh.Subscription{
		Name: sub, Topic: topic, Broker: broker, Exchange: mesh.Exchange{Name: topic.Name, Type: "topic"},
		Queue:       mesh.Queue{Name: topic.Name + "." + sub.Name, Type: "quorum", Prefetch: 64},
		AckDeadline: 30 * time.Second, Attempts: 5,
		Backoff:         mesh.Backoff{Base: time.Second, Max: time.Minute},
		DeadLetterQueue: topic.Name + "." + sub.Name + ".dead",
	}
}

// resourceOf returns the resource of a type among what an encoder made, under a
// version of the test's choice.
func resourceOf(tb testing.TB, typeURL, version string, rs []wire.Resource, err error) *discoveryv3.Resource {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
	i := slices.IndexFunc(rs, func(r wire.Resource) bool { return r.TypeURL == typeURL })
	if i < 0 {
		tb.Fatalf("no %s among the resources", shortType(typeURL))
	}
	return &discoveryv3.Resource{Name: rs[i].Name, Version: version, Resource: rs[i].Any}
}

// flawed is content that the decoder of the tests refuses with text, or panics
// with when it starts with "panic".
func flawed(resource, version, text string) *discoveryv3.Resource {
	return &discoveryv3.Resource{Name: resource, Version: version, Resource: &anypb.Any{Value: []byte("flaw:" + text)}}
}

// decodeFlawed is wire.Decode that knows flawed content.
func decodeFlawed(typeURL string, a *anypb.Any) (wire.Decoded, error) {
	if text, ok := strings.CutPrefix(string(a.GetValue()), "flaw:"); ok {
		if strings.HasPrefix(text, "panic") {
			panic(text)
		}
		return nil, errors.New(text)
	}
	return wire.Decode(typeURL, a)
}

// parseResource adds to a response what one line of a transcript says:
//
//	topic <name> <version>
//	subscription <name> <version> <topic> <broker>
//	route <topic> <version> <broker>...
//	cluster <broker> <version> [memory]
//	endpoints <broker> <version> <address>...
//	flawed <resource> <version> <error>
//	empty <resource> <version>
//	removed <resource>
//	error <resource> <code> <text>
func parseResource(tb testing.TB, response *discoveryv3.DeltaDiscoveryResponse, line string) {
	tb.Helper()
	f := strings.Fields(line)
	add := func(typeURL string, rs []wire.Resource, err error) {
		response.Resources = append(response.Resources, resourceOf(tb, typeURL, f[2], rs, err))
	}
	names := func(ss []string) (ns []mesh.Name) {
		for _, s := range ss {
			ns = append(ns, name(tb, s))
		}
		return ns
	}
	switch f[0] {
	case "topic":
		rs, err := wire.EncodeTopic(topicTo(name(tb, f[1]), mesh.Name{Namespace: "x", Name: "x"}))
		add(xds.TypeListener, rs, err)
	case "subscription":
		rs, err := wire.EncodeSubscription(subscriptionOn(name(tb, f[1]), name(tb, f[3]), name(tb, f[4])))
		add(xds.TypeListener, rs, err)
	case "route":
		rs, err := wire.EncodeTopic(topicTo(name(tb, f[1]), names(f[3:])...))
		add(xds.TypeRoute, rs, err)
	case "cluster":
		if len(f) > 3 {
			rs, err := wire.EncodeBroker(brokerAt(name(tb, f[1]), mesh.Memory))
			add(xds.TypeCluster, rs, err)
			return
		}
		rs, err := wire.EncodeBroker(brokerAt(name(tb, f[1]), mesh.RabbitMQ, "127.0.0.1:1"))
		add(xds.TypeCluster, rs, err)
	case "endpoints":
		rs, err := wire.EncodeBroker(brokerAt(name(tb, f[1]), mesh.RabbitMQ, f[3:]...))
		add(xds.TypeEndpoint, rs, err)
	case "flawed":
		response.Resources = append(response.Resources, flawed(f[1], f[2], strings.Join(f[3:], " ")))
	case "empty":
		response.Resources = append(response.Resources, &discoveryv3.Resource{Name: f[1], Version: f[2]})
	case "removed":
		response.RemovedResources = append(response.RemovedResources, f[1])
	case "error":
		code, err := strconv.Atoi(f[2])
		if err != nil {
			tb.Fatal(err)
		}
		response.ResourceErrors = append(response.ResourceErrors, &discoveryv3.ResourceError{
			ResourceName: &discoveryv3.ResourceName{Name: f[1]},
			ErrorDetail:  &rpcstatus.Status{Code: int32(code), Message: strings.Join(f[3:], " ")},
		})
	default:
		tb.Fatalf("resource line %q is not known", line)
	}
}
