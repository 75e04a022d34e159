package message

import (
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// supported is everything a sidecar implements, by message: a field that is set
// and not listed is refused. A message that is not listed has no supported field.
// Which values a field may have is the decoder's business.
var supported = map[protoreflect.FullName][]protoreflect.Name{
	"envoy.config.listener.v3.Listener":                                                 {"name", "api_listener", "traffic_direction"},
	"envoy.config.listener.v3.ApiListener":                                              {"api_listener"},
	"envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager": {"stat_prefix", "rds", "http_filters"},
	"envoy.extensions.filters.network.http_connection_manager.v3.Rds":                   {"config_source", "route_config_name"},
	"envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter":            {"name", "typed_config"},
	"envoy.extensions.filters.http.router.v3.Router":                                    {},
	"envoy.config.core.v3.ConfigSource":                                                 {"ads", "resource_api_version"},
	"envoy.config.core.v3.AggregatedConfigSource":                                       {},

	"envoy.config.route.v3.RouteConfiguration":            {"name", "virtual_hosts"},
	"envoy.config.route.v3.VirtualHost":                   {"name", "domains", "routes", "matcher"},
	"envoy.config.route.v3.Route":                         {"name", "match", "route"},
	"envoy.config.route.v3.RouteMatch":                    {"prefix", "headers"},
	"envoy.config.route.v3.HeaderMatcher":                 {"name", "string_match", "invert_match", "treat_missing_header_as_empty"},
	"envoy.type.matcher.v3.StringMatcher":                 {"exact", "prefix", "suffix"},
	"envoy.config.route.v3.RouteAction":                   {"weighted_clusters", "timeout", "retry_policy", "hash_policy"},
	"envoy.config.route.v3.RouteAction.HashPolicy":        {"header"},
	"envoy.config.route.v3.RouteAction.HashPolicy.Header": {"header_name"},
	"envoy.config.route.v3.WeightedCluster":               {"clusters", "use_hash_policy"},
	"envoy.config.route.v3.WeightedCluster.ClusterWeight": {"name", "weight", "typed_per_filter_config"},
	"envoy.config.route.v3.FilterConfig":                  {"config", "is_optional"},
	"envoy.config.route.v3.RetryPolicy": {
		"retry_on", "num_retries", "per_try_timeout", "retry_back_off", "retry_host_predicate",
	},
	"envoy.config.route.v3.RetryPolicy.RetryBackOff":                       {"base_interval", "max_interval"},
	"envoy.config.route.v3.RetryPolicy.RetryHostPredicate":                 {"name", "typed_config"},
	"envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate": {},
	"xds.type.matcher.v3.Matcher":                                          {"matcher_list", "on_no_match"},
	"xds.type.matcher.v3.Matcher.OnMatch":                                  {"action"},
	"xds.type.matcher.v3.Matcher.MatcherList":                              {"matchers"},
	"xds.type.matcher.v3.Matcher.MatcherList.FieldMatcher":                 {"predicate", "on_match"},
	"xds.type.matcher.v3.Matcher.MatcherList.Predicate":                    {"single_predicate", "or_matcher", "and_matcher", "not_matcher"},
	"xds.type.matcher.v3.Matcher.MatcherList.Predicate.SinglePredicate":    {"input", "value_match"},
	"xds.type.matcher.v3.Matcher.MatcherList.Predicate.PredicateList":      {"predicate"},
	"xds.type.matcher.v3.StringMatcher":                                    {"exact", "prefix", "suffix"},
	"xds.core.v3.TypedExtensionConfig":                                     {"name", "typed_config"},
	"envoy.type.matcher.v3.HttpRequestHeaderMatchInput":                    {"header_name"},
	"envoy.config.cluster.v3.Cluster":                                      {"name", "type", "eds_cluster_config", "typed_extension_protocol_options"},
	"envoy.config.cluster.v3.Cluster.EdsClusterConfig":                     {"eds_config", "service_name"},
	"envoy.config.endpoint.v3.ClusterLoadAssignment":                       {"cluster_name", "endpoints"},
	"envoy.config.endpoint.v3.LocalityLbEndpoints":                         {"locality", "lb_endpoints", "load_balancing_weight", "priority"},
	"envoy.config.endpoint.v3.LbEndpoint":                                  {"endpoint"},
	"envoy.config.endpoint.v3.Endpoint":                                    {"address"},
	"envoy.config.core.v3.Locality":                                        {"zone"},
	"envoy.config.core.v3.Address":                                         {"socket_address"},
	"envoy.config.core.v3.SocketAddress":                                   {"address", "port_value"},

	"warren.xds.v1.Exchange": {"name", "type"},
	"warren.xds.v1.AmqpRoute": {
		"topic", "exchange", "routing_key", "mandatory", "persistent", "confirm_timeout", "ttl", "priority", "max_event_bytes",
		"partitions", "headers",
	},
	"warren.xds.v1.Partitions":          {"count", "key"},
	"warren.xds.v1.AmqpProtocolOptions": {"type", "vhost", "credentials", "topology", "heartbeat"},
	"warren.xds.v1.SubscriptionListener": {
		"topic", "cluster", "exchange", "queue", "filters", "ack_deadline", "redelivery", "dead_letter_queue", "push_port",
		"ordering", "partitions", "key_policy", "dedupe", "max_decoded_bytes",
	},
	"warren.xds.v1.Queue":          {"name", "type", "prefetch", "prefetch_bytes", "max_event_bytes"},
	"warren.xds.v1.Redelivery":     {"attempts", "base_interval", "max_interval", "max_elapsed", "strategy"},
	"warren.xds.v1.Dedupe":         {"window", "max_entries"},
	"warren.xds.v1.Filter":         {"exact", "prefix", "suffix", "all", "any", "not"},
	"warren.xds.v1.AttributeMatch": {"attribute", "value"},
	"warren.xds.v1.FilterList":     {"filters"},
}

// isSupported reports whether fd may be set. Google's well-known types are values,
// supported whole.
func isSupported(fd protoreflect.FieldDescriptor) bool {
	m := fd.ContainingMessage().FullName()
	return m.Parent() == "google.protobuf" || slices.Contains(supported[m], fd.Name())
}
