package wire_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds/wire"
)

// The files show what goes over the wire, as protojson.
func TestTheMappingIsWrittenDown(t *testing.T) {
	t.Parallel()
	files := []string{
		"topic-listener", "topic-routes", "nested-listener", "nested-routes",
		"broker-cluster", "broker-endpoints", "subscription-listener", "ordered-listener",
	}
	for i, r := range samples(t) {
		m, err := r.Any.UnmarshalNew()
		if err != nil {
			t.Fatal(err)
		}
		text, err := protojson.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var value any // protojson's own spacing is random on purpose
		if err := json.Unmarshal(text, &value); err != nil {
			t.Fatal(err)
		}
		if text, err = json.MarshalIndent(value, "", "  "); err != nil {
			t.Fatal(err)
		}
		golden(t, files[i]+".json", string(text)+"\n")
	}
}

// What a sidecar would NACK is refused before it is sent.
func TestEncodingRefuses(t *testing.T) {
	t.Parallel()
	topic := func(change func(*mesh.Topic)) func() ([]wire.Resource, error) {
		v := orders()
		change(v)
		return func() ([]wire.Resource, error) { return wire.EncodeTopic(v) }
	}
	filters := func(f ...mesh.Filter) func() ([]wire.Resource, error) {
		return topic(func(t *mesh.Topic) { t.Rules[0].Filters = f })
	}
	brokers := func(change func(*mesh.Broker)) func() ([]wire.Resource, error) {
		v := broker()
		change(v)
		return func() ([]wire.Resource, error) { return wire.EncodeBroker(v) }
	}
	subscription := func(change func(*mesh.Subscription)) func() ([]wire.Resource, error) {
		v := billing()
		change(v)
		return func() ([]wire.Resource, error) { return wire.EncodeSubscription(v) }
	}
	for what, tc := range map[string]struct {
		encode func() ([]wire.Resource, error)
		want   string
	}{
		"a topic whose last rule may not match": {topic(func(t *mesh.Topic) { t.Rules = t.Rules[:1] }), "encode topic/shop/orders: virtual_hosts[0].routes: the last one"},
		"a rule without backends":               {topic(func(t *mesh.Topic) { t.Rules[0].Backends = nil }), "sum of weights is 0"},
		"no attempts":                           {topic(func(t *mesh.Topic) { t.Rules[0].Retry.Attempts = 0 }), "attempts is 0"},
		"an unknown retry condition":            {topic(func(t *mesh.Topic) { t.Rules[0].Retry.On = []mesh.RetryOn{9} }), "RetryOn(9)"},
		"a name that is not UTF-8":              {topic(func(t *mesh.Topic) { t.Rules[0].Name = "\xff" }), "invalid UTF-8"},
		"a value that is not UTF-8":             {filters(exact("type", "\xff")), "not UTF-8"},
		"an empty value":                        {filters(prefix("type", "")), "non-empty"},
		"an empty value in a tree":              {filters(anyOf(prefix("type", ""), exact("id", "1"))), "non-empty"},
		"an empty list":                         {filters(all()), "an empty list"},
		"an empty list in a list":               {filters(anyOf(exact("id", "1"), anyOf())), "an empty list"},
		"a negation of two":                     {filters(mesh.Filter{Op: mesh.Not, Sub: []mesh.Filter{exact("a", "b"), exact("c", "d")}}), "holds 2 filters"},
		"a filter of no kind":                   {filters(mesh.Filter{}), "FilterOp(0)"},
		"an attribute with a capital":           {filters(exact("Type", "x")), `attribute "Type"`},
		"the data as an attribute":              {filters(exact("data", "x")), `attribute "data"`},
		"an address without a port":             {brokers(func(b *mesh.Broker) { b.Nodes[0].Address = "localhost" }), "node address"},
		"a port that is a name":                 {brokers(func(b *mesh.Broker) { b.Nodes[0].Address = "localhost:amqp" }), "want a port number"},
		"a gap in the priorities":               {brokers(func(b *mesh.Broker) { b.Nodes[3].Priority = 2 }), "priority 1 is missing"},
		"a broker of no type":                   {brokers(func(b *mesh.Broker) { b.Type = 0 }), "BROKER_TYPE_UNSPECIFIED"},
		"a filter of no kind in a subscription": {subscription(func(s *mesh.Subscription) { s.Filters = []mesh.Filter{{}} }), "filters[0]: want one of"},
		"a negation of nothing":                 {subscription(func(s *mesh.Subscription) { s.Filters = []mesh.Filter{{Op: mesh.Not}} }), "filters[0]: want one of"},
		"more prefetch than AMQP can say":       {subscription(func(s *mesh.Subscription) { s.Queue.Prefetch = 65536 }), "queue.prefetch: is 65536"},
		"an ordering of no kind":                {subscription(func(s *mesh.Subscription) { s.Ordering = 9 }), "ordering: 9 is not supported"},
		"a key policy of no kind":               {subscription(func(s *mesh.Subscription) { s.KeyPolicy = 9 }), "key_policy: 9 is not supported"},
		"more partitions than there may be":     {topic(func(t *mesh.Topic) { t.Rules[1].Backends[0].Destination.Partitions.Count = 1025 }), "partitions.count: is 1025, want 1 to 1024"},
		"partitions by no attribute":            {topic(func(t *mesh.Topic) { t.Rules[1].Backends[0].Destination.Partitions.Key = "order-id" }), `partitions.key: attribute "order-id"`},
		"a memory of nothing":                   {subscription(func(s *mesh.Subscription) { s.Dedupe.Window = time.Second }), "dedupe.max_entries: is 0"},
		"a subscription without a topic":        {subscription(func(s *mesh.Subscription) { s.Topic = mesh.Name{} }), `topic: name "/"`},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			rs, err := tc.encode()
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %d resources and error %v, want %q", len(rs), err, tc.want)
			}
		})
	}
}
