package wire_test

import (
	"strings"
	"testing"
	"time"

	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	xdstypev3 "github.com/cncf/xds/go/xds/type/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	xdsv1 "github.com/warrenmesh/warren/api/xds/v1"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire"
)

func pack(t testing.TB, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// edit decodes a into m, lets change work on it and packs it again.
func edit[M proto.Message](t testing.TB, a *anypb.Any, m M, change func(M)) *anypb.Any {
	t.Helper()
	if err := a.UnmarshalTo(m); err != nil {
		t.Fatal(err)
	}
	change(m)
	return pack(t, m)
}

func refuses(t *testing.T, typeURL string, a *anypb.Any, want string) {
	t.Helper()
	d, err := wire.Decode(typeURL, a)
	if err == nil || d != nil {
		t.Fatalf("decoded to %+v, want the error %q", d, want)
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("error is %q, want %q in it", err, want)
	}
}

func TestARouteConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	type config = routev3.RouteConfiguration
	first := func(c *config) *routev3.Route { return c.VirtualHosts[0].Routes[0] }
	backend := func(c *config) *routev3.WeightedCluster_ClusterWeight {
		return first(c).GetRoute().GetWeightedClusters().Clusters[0]
	}
	amqp := func(change func(*xdsv1.AmqpRoute)) func(*config) {
		return func(c *config) {
			b := backend(c)
			b.TypedPerFilterConfig[xds.FilterConfigKey] = edit(t, b.TypedPerFilterConfig[xds.FilterConfigKey], &routev3.FilterConfig{},
				func(f *routev3.FilterConfig) { f.Config = edit(t, f.Config, &xdsv1.AmqpRoute{}, change) })
		}
	}
	const route = "virtual_hosts[0].routes[0]."
	const amqpAt = route + `route.weighted_clusters.clusters[0].typed_per_filter_config["warren.amqp"].config.`
	for what, tc := range map[string]struct {
		change func(*config)
		want   string
	}{
		"for a field that is not implemented": {
			func(c *config) { first(c).GetRoute().PrefixRewrite = "/x" }, route + "route.prefix_rewrite: not supported"},
		"for a cluster without weights": {
			func(c *config) { first(c).GetRoute().ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: "x"} }, route + "route.cluster: not supported"},
		"for a matcher of another kind": {
			func(c *config) {
				first(c).Match.Headers[1].HeaderMatchSpecifier = &routev3.HeaderMatcher_PresentMatch{PresentMatch: true}
			}, route + "match.headers[1].present_match: not supported"},
		"for a header that is no attribute": {
			func(c *config) { first(c).Match.Headers[0].Name = ":path" }, route + `match.headers[0]: header ":path": want ce-<attribute>`},
		"for an attribute that cannot be": {
			func(c *config) { first(c).Match.Headers[0].Name = "ce-Type" }, route + `match.headers[0]: attribute "Type"`},
		"for an inverted match that a missing attribute would fail": {
			func(c *config) { first(c).Match.Headers[1].TreatMissingHeaderAsEmpty = false }, route + "match.headers[1].treat_missing_header_as_empty: is required"},
		"for an escape cut short": {
			func(c *config) {
				first(c).Match.Headers[0].GetStringMatch().MatchPattern = &matcherv3.StringMatcher_Prefix{Prefix: "%2"}
			}, route + "match.headers[0]: value"},
		"for a last rule that may not match": {
			func(c *config) { c.VirtualHosts[0].Routes = c.VirtualHosts[0].Routes[:1] }, "virtual_hosts[0].routes: the last one must match every event"},
		"for no rule": {
			func(c *config) { c.VirtualHosts[0].Routes = nil }, "virtual_hosts[0].routes: the last one must match every event"},
		"for two virtual hosts": {
			func(c *config) { c.VirtualHosts = append(c.VirtualHosts, c.VirtualHosts[0]) }, "virtual_hosts: want exactly 1, have 2"},
		"for another domain": {
			func(c *config) { c.VirtualHosts[0].Domains = []string{"shop"} }, `virtual_hosts[0].domains: want "*" alone`},
		"for weights that sum to nothing": {
			func(c *config) {
				for _, w := range first(c).GetRoute().GetWeightedClusters().Clusters {
					w.Weight = nil
				}
			}, route + "route.weighted_clusters.clusters: sum of weights is 0"},
		"for a timeout left out, which Envoy reads as 15 s": {
			func(c *config) { first(c).GetRoute().Timeout = nil }, route + "route.timeout: is required"},
		"for a negative timeout": {
			func(c *config) { first(c).GetRoute().Timeout = durationpb.New(-1) }, route + "route.timeout: -1ns is less than 0s"},
		"for a retry condition of HTTP": {
			func(c *config) { first(c).GetRoute().RetryPolicy.RetryOn = "nack,5xx" }, route + `route.retry_policy.retry_on: retry condition "5xx"`},
		"for a backoff that shrinks": {
			func(c *config) {
				first(c).GetRoute().RetryPolicy.RetryBackOff.MaxInterval = durationpb.New(time.Millisecond)
			},
			route + "route.retry_policy.retry_back_off.max_interval: 1ms is less than 50ms"},
		"for another filter's configuration": {
			func(c *config) { backend(c).TypedPerFilterConfig["x"] = &anypb.Any{} }, `typed_per_filter_config["x"]: not supported`},
		"for no configuration of the destination": {
			func(c *config) { backend(c).TypedPerFilterConfig = nil }, `typed_per_filter_config["warren.amqp"]: is required`},
		"for an extension of another type": {
			func(c *config) { backend(c).TypedPerFilterConfig[xds.FilterConfigKey] = pack(t, &xdsv1.Queue{}) },
			`type "type.googleapis.com/warren.xds.v1.Queue" is not supported`},
		"for a field our messages do not know": {
			amqp(func(r *xdsv1.AmqpRoute) { r.ProtoReflect().SetUnknown([]byte{0xa0, 0x06, 0x01}) }),
			"warren.xds.v1.AmqpRoute has no field number 100 here: not supported"},
		"for a broken routing key": {
			amqp(func(r *xdsv1.AmqpRoute) { r.RoutingKey = "{type" }), amqpAt + `routing_key: template "{type": '{' without '}'`},
		"for a routing key that cannot fit": {
			amqp(func(r *xdsv1.AmqpRoute) { r.RoutingKey = strings.Repeat("k", 256) }), amqpAt + "routing_key: template: its literal text has 256 bytes"},
		"for an exchange of the broker's own": {
			amqp(func(r *xdsv1.AmqpRoute) { r.Exchange.Name = "amq.topic" }), amqpAt + `exchange.name: "amq.topic"`},
		"for an unknown exchange type": {
			amqp(func(r *xdsv1.AmqpRoute) { r.Exchange.Type = "x-consistent-hash" }), amqpAt + "exchange.type:"},
		"for a priority over 9": {
			amqp(func(r *xdsv1.AmqpRoute) { r.Priority = 10 }), amqpAt + "priority: 10 is more than 9"},
		"for no confirm timeout": {
			amqp(func(r *xdsv1.AmqpRoute) { r.ConfirmTimeout = nil }), amqpAt + "confirm_timeout: 0s is less than 1ns"},
		"for an expiration under a millisecond": {
			amqp(func(r *xdsv1.AmqpRoute) { r.Ttl = durationpb.New(1) }), amqpAt + "ttl: 1ns is less than 1ms"},
		"for no limit of the payload": {
			amqp(func(r *xdsv1.AmqpRoute) { r.MaxEventBytes = 0 }), amqpAt + "max_event_bytes: is required"},
		"for a header that publishers never set": {
			amqp(func(r *xdsv1.AmqpRoute) { r.Headers[1] = "warren-attempt" }), amqpAt + `headers[1]: "warren-attempt" is reserved`},
		"for a header of two lines": {
			amqp(func(r *xdsv1.AmqpRoute) { r.Headers[0] = "a\nce-id" }), amqpAt + "headers[0]:"},
		"for no partitions where partitions are set": {
			amqp(func(r *xdsv1.AmqpRoute) { r.Partitions.Count = 0 }), amqpAt + "partitions.count: is 0, want 1 to 1024"},
		"for a partition key that is no attribute": {
			amqp(func(r *xdsv1.AmqpRoute) { r.Partitions.Key = "data" }), amqpAt + `partitions.key: attribute "data"`},
		"for a hash of what is no partition key": {
			amqp(func(r *xdsv1.AmqpRoute) { r.Partitions = &xdsv1.Partitions{Count: 8, Key: "subject"} }),
			route + `route.hash_policy: is by headers ["ce-partitionkey"], want ["ce-subject"]`},
		"for a partition key that is not hashed": {
			func(c *config) { first(c).GetRoute().HashPolicy = nil }, route + `route.hash_policy: is by headers []`},
		"for backends chosen at random that keep keys together": {
			func(c *config) { first(c).GetRoute().GetWeightedClusters().RandomValueSpecifier = nil },
			route + "route.weighted_clusters.use_hash_policy: is false, want true"},
		"for a hash of something else than a header": {
			func(c *config) {
				first(c).GetRoute().HashPolicy[0].PolicySpecifier = &routev3.RouteAction_HashPolicy_Cookie_{Cookie: &routev3.RouteAction_HashPolicy_Cookie{}}
			}, route + "route.hash_policy[0].cookie: not supported"},
		"for a hash policy that ends the list early": {
			func(c *config) { first(c).GetRoute().HashPolicy[0].Terminal = true }, route + "route.hash_policy[0].terminal: not supported"},
		"for a name of another kind": {
			func(c *config) { c.Name = "broker/shop/main" }, `name: resource name "broker/shop/main"`},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			refuses(t, xds.TypeRoute, edit(t, samples(t)[1].Any, &config{}, tc.change), tc.want)
		})
	}
}

func TestAMatcherTreeIsRefused(t *testing.T) {
	t.Parallel()
	type predicate = xdsmatcherv3.Matcher_MatcherList_Predicate
	matchers := func(c *routev3.RouteConfiguration) []*xdsmatcherv3.Matcher_MatcherList_FieldMatcher {
		return c.VirtualHosts[0].Matcher.GetMatcherList().Matchers
	}
	const list = "virtual_hosts[0].matcher.matcher_list.matchers[0]."
	for what, tc := range map[string]struct {
		change func(*routev3.RouteConfiguration)
		want   string
	}{
		"when nothing matches the rest": {
			func(c *routev3.RouteConfiguration) { c.VirtualHosts[0].Matcher.OnNoMatch = nil }, "matcher.on_no_match.action.typed_config: is required"},
		"beside routes": {
			func(c *routev3.RouteConfiguration) { c.VirtualHosts[0].Routes = []*routev3.Route{{}} }, "virtual_hosts[0].routes: not supported beside a matcher"},
		"when it is nested too deep": {
			func(c *routev3.RouteConfiguration) {
				p := matchers(c)[0].Predicate
				for range 40 {
					p = &predicate{MatchType: &xdsmatcherv3.Matcher_MatcherList_Predicate_NotMatcher{NotMatcher: p}}
				}
				matchers(c)[0].Predicate = p
			}, "nested deeper than 32"},
		"without a predicate": {
			func(c *routev3.RouteConfiguration) { matchers(c)[0].Predicate = nil }, list + "predicate: want a single_predicate"},
		"with headers in an action": {
			func(c *routev3.RouteConfiguration) {
				action := matchers(c)[0].OnMatch.GetAction()
				action.TypedConfig = edit(t, action.TypedConfig, &routev3.Route{}, func(r *routev3.Route) {
					r.Match.Headers = []*routev3.HeaderMatcher{{Name: "ce-type"}}
				})
			}, list + "on_match.action.typed_config.match.headers: not supported inside a matcher"},
		"with a field of an action that is not implemented": {
			func(c *routev3.RouteConfiguration) {
				action := matchers(c)[0].OnMatch.GetAction()
				action.TypedConfig = edit(t, action.TypedConfig, &routev3.Route{}, func(r *routev3.Route) { r.StatPrefix = "x" })
			}, list + "on_match.action.typed_config.stat_prefix: not supported"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			refuses(t, xds.TypeRoute, edit(t, samples(t)[3].Any, &routev3.RouteConfiguration{}, tc.change), tc.want)
		})
	}
}

func TestABrokerIsRefused(t *testing.T) {
	t.Parallel()
	options := func(change func(*xdsv1.AmqpProtocolOptions)) func(*clusterv3.Cluster) {
		return func(c *clusterv3.Cluster) {
			m := c.TypedExtensionProtocolOptions
			m[xds.ProtocolOptionsKey] = edit(t, m[xds.ProtocolOptionsKey], &xdsv1.AmqpProtocolOptions{}, change)
		}
	}
	const at = `typed_extension_protocol_options["warren.amqp"].`
	for what, tc := range map[string]struct {
		change func(*clusterv3.Cluster)
		want   string
	}{
		"with a circuit breaker, for now": {
			func(c *clusterv3.Cluster) { c.CircuitBreakers = &clusterv3.CircuitBreakers{} }, "circuit_breakers: not supported"},
		"with another discovery type": {
			func(c *clusterv3.Cluster) {
				c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
			}, "type: STATIC is not supported, want EDS"},
		"with endpoints from a file": {
			func(c *clusterv3.Cluster) {
				c.EdsClusterConfig.EdsConfig.ConfigSourceSpecifier = &corev3.ConfigSource_PathConfigSource{}
			}, "eds_cluster_config.eds_config.path_config_source: not supported"},
		"with credentials outside their directory": {
			options(func(o *xdsv1.AmqpProtocolOptions) { o.Credentials = "../etc" }), at + `credentials: "../etc" is not the name of a directory`},
		"without a type": {
			options(func(o *xdsv1.AmqpProtocolOptions) { o.Type = 0 }), at + "type: BROKER_TYPE_UNSPECIFIED is not supported"},
		"with a topology of the future": {
			options(func(o *xdsv1.AmqpProtocolOptions) { o.Topology = 9 }), at + "topology: 9 is not supported"},
		"without a vhost": {
			options(func(o *xdsv1.AmqpProtocolOptions) { o.Vhost = "" }), at + "vhost: is required"},
		"with a heartbeat under a second": {
			options(func(o *xdsv1.AmqpProtocolOptions) { o.Heartbeat = durationpb.New(1) }), at + "heartbeat: 1ns"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			refuses(t, xds.TypeCluster, edit(t, samples(t)[4].Any, &clusterv3.Cluster{}, tc.change), tc.want)
		})
	}
}

func TestEndpointsAreRefused(t *testing.T) {
	t.Parallel()
	for what, tc := range map[string]struct {
		change func(*endpointv3.ClusterLoadAssignment)
		want   string
	}{
		"with a gap in the priorities": {
			func(a *endpointv3.ClusterLoadAssignment) { a.Endpoints[2].Priority = 2 }, "endpoints: priority 1 is missing"},
		"without a locality": {
			func(a *endpointv3.ClusterLoadAssignment) { a.Endpoints[0].Locality = nil }, "endpoints[0].locality: is required"},
		"with a weight that is not implemented": {
			func(a *endpointv3.ClusterLoadAssignment) { a.Endpoints[0].LoadBalancingWeight = wrapperspb.UInt32(9) },
			"endpoints[0].load_balancing_weight: 9 is not supported"},
		"with a locality twice": {
			func(a *endpointv3.ClusterLoadAssignment) { a.Endpoints[1].Locality.Zone = "a" },
			"endpoints[1].locality: zone \"a\" is there twice at priority 0"},
		"with a node twice": {
			func(a *endpointv3.ClusterLoadAssignment) {
				a.Endpoints[1].LbEndpoints[0] = a.Endpoints[0].LbEndpoints[0]
			},
			"endpoints[1].lb_endpoints[0].endpoint.address.socket_address: 127.0.0.1:5672 is there twice"},
		"without a port": {
			func(a *endpointv3.ClusterLoadAssignment) {
				a.Endpoints[0].LbEndpoints[0].GetEndpoint().GetAddress().GetSocketAddress().PortSpecifier = nil
			}, "socket_address: want an address and a port_value"},
		"with overload drops, for now": {
			func(a *endpointv3.ClusterLoadAssignment) { a.Policy = &endpointv3.ClusterLoadAssignment_Policy{} }, "policy: not supported"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			refuses(t, xds.TypeEndpoint, edit(t, samples(t)[5].Any, &endpointv3.ClusterLoadAssignment{}, tc.change), tc.want)
		})
	}
}

func TestASubscriptionIsRefused(t *testing.T) {
	t.Parallel()
	const at = "api_listener.api_listener."
	for what, tc := range map[string]struct {
		change func(*xdsv1.SubscriptionListener)
		want   string
	}{
		"with no port to push to":       {func(s *xdsv1.SubscriptionListener) { s.PushPort = 65536 }, at + "push_port: is 65536"},
		"with no prefetch":              {func(s *xdsv1.SubscriptionListener) { s.Queue.Prefetch = 0 }, at + "queue.prefetch: is 0"},
		"with a stream queue":           {func(s *xdsv1.SubscriptionListener) { s.Queue.Type = "stream" }, at + `queue.type: "stream"`},
		"with no room for its delays":   {func(s *xdsv1.SubscriptionListener) { s.Queue.Name = strings.Repeat("q", 245) }, at + "queue.name: has 245 bytes, and a queue named after it"},
		"with no attempts":              {func(s *xdsv1.SubscriptionListener) { s.Redelivery = nil }, at + "redelivery.attempts: is 0"},
		"with a strategy of the future": {func(s *xdsv1.SubscriptionListener) { s.Redelivery.Strategy = 9 }, at + "redelivery.strategy: 9 is not supported"},
		"with delays by the broker of nothing": {func(s *xdsv1.SubscriptionListener) {
			s.Redelivery = &xdsv1.Redelivery{Attempts: 2, Strategy: xdsv1.RetryStrategy_RETRY_STRATEGY_BROKER_DELAY}
		}, at + "redelivery.base_interval: is required with RETRY_STRATEGY_BROKER_DELAY"},
		"with no dead letters":   {func(s *xdsv1.SubscriptionListener) { s.DeadLetterQueue = "" }, at + "dead_letter_queue: is required"},
		"with an empty filter":   {func(s *xdsv1.SubscriptionListener) { s.Filters[0].Filter = nil }, at + "filters[0]: want one of"},
		"with an empty list":     {func(s *xdsv1.SubscriptionListener) { s.Filters[1].GetAll().Filters = nil }, at + "filters[1].all: want at least one"},
		"with an empty value":    {func(s *xdsv1.SubscriptionListener) { s.Filters[0].GetPrefix().Value = "" }, at + "filters[0].prefix.value: is required"},
		"with another's cluster": {func(s *xdsv1.SubscriptionListener) { s.Cluster = "x" }, at + `cluster: resource name "x"`},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			a := edit(t, samples(t)[6].Any, &listenerv3.Listener{}, func(l *listenerv3.Listener) {
				l.ApiListener.ApiListener = edit(t, l.ApiListener.ApiListener, &xdsv1.SubscriptionListener{}, tc.change)
			})
			refuses(t, xds.TypeListener, a, tc.want)
		})
	}
}

func TestAListenerIsRefused(t *testing.T) {
	t.Parallel()
	hcm := func(change func(*hcmv3.HttpConnectionManager)) *anypb.Any {
		return edit(t, samples(t)[0].Any, &listenerv3.Listener{}, func(l *listenerv3.Listener) {
			l.ApiListener.ApiListener = edit(t, l.ApiListener.ApiListener, &hcmv3.HttpConnectionManager{}, change)
		})
	}
	t.Run("with a filter that is not implemented", func(t *testing.T) {
		t.Parallel()
		refuses(t, xds.TypeListener, hcm(func(m *hcmv3.HttpConnectionManager) {
			m.HttpFilters = append([]*hcmv3.HttpFilter{{Name: "envoy.filters.http.fault"}}, m.HttpFilters...)
		}), "api_listener.api_listener.http_filters: want envoy.filters.http.router alone")
	})
	t.Run("with inline routes", func(t *testing.T) {
		t.Parallel()
		refuses(t, xds.TypeListener, hcm(func(m *hcmv3.HttpConnectionManager) {
			m.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: &routev3.RouteConfiguration{}}
		}), "api_listener.api_listener.route_config: not supported")
	})
	t.Run("with an address of its own", func(t *testing.T) {
		t.Parallel()
		refuses(t, xds.TypeListener, edit(t, samples(t)[0].Any, &listenerv3.Listener{}, func(l *listenerv3.Listener) {
			l.Address = &corev3.Address{}
		}), "address: not supported")
	})
	t.Run("when there is none", func(t *testing.T) {
		t.Parallel()
		refuses(t, xds.TypeListener, nil, "is required")
		refuses(t, xds.TypeListener, &anypb.Any{}, `type "" is not supported`)
		refuses(t, "type.googleapis.com/x", &anypb.Any{}, "is not supported")
	})
}

func TestATypedStructStandsForOurMessages(t *testing.T) {
	t.Parallel()
	asStruct := func(a *anypb.Any, m proto.Message) *anypb.Any {
		if err := a.UnmarshalTo(m); err != nil {
			t.Fatal(err)
		}
		text, err := protojson.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		value := &structpb.Struct{}
		if err := protojson.Unmarshal(text, value); err != nil {
			t.Fatal(err)
		}
		return pack(t, &xdstypev3.TypedStruct{TypeUrl: a.TypeUrl, Value: value})
	}
	sample := samples(t)[6]
	listener := edit(t, sample.Any, &listenerv3.Listener{}, func(l *listenerv3.Listener) {
		l.ApiListener.ApiListener = asStruct(l.ApiListener.ApiListener, &xdsv1.SubscriptionListener{})
	})
	d, err := wire.Decode(sample.TypeURL, listener)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.(*wire.Subscription).Queue; got != billing().Queue {
		t.Errorf("queue is %+v", got)
	}
	t.Run("and its unknown fields are refused", func(t *testing.T) {
		t.Parallel()
		bad := edit(t, listener, &listenerv3.Listener{}, func(l *listenerv3.Listener) {
			l.ApiListener.ApiListener = edit(t, l.ApiListener.ApiListener, &xdstypev3.TypedStruct{}, func(s *xdstypev3.TypedStruct) {
				s.Value.Fields["shards"] = structpb.NewNumberValue(8)
			})
		})
		refuses(t, sample.TypeURL, bad, `unknown field "shards"`)
	})
}
