package wire_test

import (
	"strings"
	"testing"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	xdsv1 "github.com/warrenmesh/warren/api/xds/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire"
)

func TestAnOrderedSubscriptionIsRefused(t *testing.T) {
	t.Parallel()
	const at = "api_listener.api_listener."
	unordered := func(change func(*xdsv1.SubscriptionListener)) func(*xdsv1.SubscriptionListener) {
		return func(s *xdsv1.SubscriptionListener) {
			s.Ordering, s.Partitions, s.Redelivery.MaxElapsed, s.KeyPolicy = 0, nil, nil, 0
			change(s)
		}
	}
	for what, tc := range map[string]struct {
		change func(*xdsv1.SubscriptionListener)
		want   string
	}{
		"with an order of the future":      {func(s *xdsv1.SubscriptionListener) { s.Ordering = 9 }, at + "ordering: 9 is not supported"},
		"with a key policy of the future":  {func(s *xdsv1.SubscriptionListener) { s.KeyPolicy = 9 }, at + "key_policy: 9 is not supported"},
		"without partitions":               {func(s *xdsv1.SubscriptionListener) { s.Partitions = nil }, at + "partitions: is required"},
		"without a bound of retries":       {func(s *xdsv1.SubscriptionListener) { s.Redelivery.MaxElapsed = nil }, at + "redelivery.max_elapsed: is required"},
		"with a bound under a second":      {func(s *xdsv1.SubscriptionListener) { s.Redelivery.MaxElapsed = durationpb.New(1) }, at + "redelivery.max_elapsed: 1ns is less than 1s"},
		"with a name too long for a queue": {func(s *xdsv1.SubscriptionListener) { s.Queue.Name = strings.Repeat("q", 221) }, at + "queue.name: has 221 bytes, want at most 220"},
		"with delays by the broker": {func(s *xdsv1.SubscriptionListener) {
			s.Redelivery.Strategy = xdsv1.RetryStrategy_RETRY_STRATEGY_BROKER_DELAY
		}, at + "redelivery.strategy: RETRY_STRATEGY_BROKER_DELAY is not supported with order"},
		"with partitions and no order": {unordered(func(s *xdsv1.SubscriptionListener) { s.Partitions = &xdsv1.Partitions{Count: 8, Key: "partitionkey"} }),
			at + "partitions: not supported without order"},
		"with a bound of retries and no order": {unordered(func(s *xdsv1.SubscriptionListener) { s.Redelivery.MaxElapsed = durationpb.New(time.Minute) }),
			at + "redelivery.max_elapsed: not supported without order"},
		"with a key policy and no order": {unordered(func(s *xdsv1.SubscriptionListener) { s.KeyPolicy = xdsv1.KeyPolicy_KEY_POLICY_HOLD }),
			at + "key_policy: not supported without order"},
		"with a bound and no size of an event": {func(s *xdsv1.SubscriptionListener) { s.Queue.MaxEventBytes = 0 }, at + "queue.prefetch_bytes: is 1048576 with a max_event_bytes of 0"},
		"with a size of an event and no bound": {func(s *xdsv1.SubscriptionListener) { s.Queue.PrefetchBytes = 0 }, at + "queue.prefetch_bytes: is 0 with"},
		"with a dedupe window of nothing":      {func(s *xdsv1.SubscriptionListener) { s.Dedupe.Window = nil }, at + "dedupe.window: 0s is less than 1ns"},
		"with a dedupe memory of nothing":      {func(s *xdsv1.SubscriptionListener) { s.Dedupe.MaxEntries = 0 }, at + "dedupe.max_entries: is 0"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			a := edit(t, samples(t)[7].Any, &listenerv3.Listener{}, func(l *listenerv3.Listener) {
				l.ApiListener.ApiListener = edit(t, l.ApiListener.ApiListener, &xdsv1.SubscriptionListener{}, tc.change)
			})
			refuses(t, xds.TypeListener, a, tc.want)
		})
	}
}

func TestRetriesByTheBrokerAreCarried(t *testing.T) {
	t.Parallel()
	s := billing()
	s.Strategy = mesh.BrokerDelay
	rs, err := wire.EncodeSubscription(s)
	if err != nil {
		t.Fatal(err)
	}
	d, err := wire.Decode(rs[0].TypeURL, rs[0].Any)
	if got, ok := d.(*wire.Subscription); err != nil || !ok || got.Strategy != mesh.BrokerDelay {
		t.Errorf("decoded %+v, %v", d, err)
	}
}

// A sidecar that does not know the fields refuses them, so they must not be there
// where they say nothing.
func TestWhatIsNewIsSetOnlyWhereItIsUsed(t *testing.T) {
	t.Parallel()
	var l listenerv3.Listener
	var s xdsv1.SubscriptionListener
	if err := samples(t)[6].Any.UnmarshalTo(&l); err != nil {
		t.Fatal(err)
	}
	if err := l.ApiListener.ApiListener.UnmarshalTo(&s); err != nil {
		t.Fatal(err)
	}
	if s.Queue.PrefetchBytes != 0 || s.Queue.MaxEventBytes != 0 || s.Ordering != 0 || s.Partitions != nil ||
		s.Redelivery.MaxElapsed != nil || s.Redelivery.Strategy != 0 || s.KeyPolicy != 0 || s.Dedupe != nil {
		t.Errorf("a plain subscription sets %v", &s)
	}
	topic := orders()
	for i := range topic.Rules {
		for j := range topic.Rules[i].Backends {
			topic.Rules[i].Backends[j].Destination.Partitions = mesh.Partitions{}
		}
	}
	rs, err := wire.EncodeTopic(topic)
	if err != nil {
		t.Fatal(err)
	}
	var c routev3.RouteConfiguration
	if err := rs[1].Any.UnmarshalTo(&c); err != nil {
		t.Fatal(err)
	}
	if p := c.VirtualHosts[0].Routes[0].GetRoute().HashPolicy; p != nil {
		t.Errorf("a topic without partitions hashes by %v", p)
	}
}
