package route

import (
	"math"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	xdsv1 "github.com/warrenmesh/warren/api/xds/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire/field"
	"github.com/warrenmesh/warren/xds/wire/message"
)

// rule encodes all of a rule but its filters.
func (e *ruleEncoder) rule(r *mesh.Rule) (*routev3.Route, error) {
	clusters := &routev3.WeightedCluster{}
	for i := range r.Backends {
		c, err := e.backend(&r.Backends[i])
		if err != nil {
			return nil, err
		}
		clusters.Clusters = append(clusters.Clusters, c)
	}
	retry, err := e.retryPolicy(r.Retry)
	if err != nil {
		return nil, err
	}
	action := &routev3.RouteAction{
		ClusterSpecifier: &routev3.RouteAction_WeightedClusters{WeightedClusters: clusters},
		Timeout:          durationpb.New(r.Timeout), // unset would mean Envoy's 15 s
		RetryPolicy:      retry,
	}
	encodeHash(action, keyHeader(r.Backends))
	return &routev3.Route{
		Name:   r.Name,
		Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: ""}},
		Action: &routev3.Route_Route{Route: action},
	}, nil
}

func encodeBackend(b *mesh.Backend) (*routev3.WeightedCluster_ClusterWeight, error) {
	d := &b.Destination
	route := &xdsv1.AmqpRoute{
		Topic:          d.Topic.String(),
		Exchange:       field.EncodeExchange(d.Exchange),
		RoutingKey:     string(d.RoutingKey),
		Mandatory:      d.Mandatory,
		Persistent:     d.Persistent,
		ConfirmTimeout: durationpb.New(d.ConfirmTimeout),
		Ttl:            field.OptionalDuration(d.TTL),
		Priority:       uint32(d.Priority),
		MaxEventBytes:  d.MaxEventBytes,
		Partitions:     field.EncodePartitions(d.Partitions),
		Headers:        d.Headers.Entries(),
	}
	inner, err := message.Pack(route)
	if err != nil {
		return nil, err
	}
	config, err := message.Pack(&routev3.FilterConfig{Config: inner, IsOptional: true})
	if err != nil {
		return nil, err
	}
	return &routev3.WeightedCluster_ClusterWeight{
		Name:                 xds.BrokerResource(d.Broker),
		Weight:               wrapperspb.UInt32(b.Weight),
		TypedPerFilterConfig: map[string]*anypb.Any{xds.FilterConfigKey: config},
	}, nil
}

// rule is the inverse of the encoder's. The action is in r or, as it came, in raw.
func (d *ruleDecoder) rule(p field.Path, r *routev3.Route, raw []byte) (mesh.Rule, error) {
	m, ok := r.GetMatch().GetPathSpecifier().(*routev3.RouteMatch_Prefix)
	if !ok || m.Prefix != "" && m.Prefix != "/" {
		return mesh.Rule{}, p.Field("match").Field("prefix").Errorf("want \"\": events have no path")
	}
	if raw != nil {
		if rule, ok := d.actions[string(raw)]; ok {
			rule.Name = r.GetName()
			return rule, nil
		}
		r.Action = &routev3.Route_Route{Route: &routev3.RouteAction{}}
		if err := proto.Unmarshal(raw, r.GetRoute()); err != nil {
			return mesh.Rule{}, p.Field("route").Errorf("unmarshal: %w", err)
		}
	}
	rule, err := decodeAction(p.Field("route"), r.GetRoute())
	if err != nil {
		return mesh.Rule{}, err
	}
	if raw != nil {
		d.actions[string(raw)] = rule
	}
	rule.Name = r.GetName()
	return rule, nil
}

// decodeAction decodes the action of a rule.
func decodeAction(at field.Path, action *routev3.RouteAction) (mesh.Rule, error) {
	if action == nil {
		return mesh.Rule{}, at.Errorf("is required")
	}
	var rule mesh.Rule
	var err error
	if rule.Backends, err = decodeBackends(at.Field("weighted_clusters").Field("clusters"), action.GetWeightedClusters()); err != nil {
		return mesh.Rule{}, err
	}
	if action.GetTimeout() == nil {
		return mesh.Rule{}, at.Field("timeout").Errorf("is required: 0s means no limit but the caller's")
	}
	if rule.Timeout, err = field.DecodeDuration(at.Field("timeout"), action.GetTimeout(), 0); err != nil {
		return mesh.Rule{}, err
	}
	if rule.Retry, err = decodeRetry(at.Field("retry_policy"), action.GetRetryPolicy()); err != nil {
		return mesh.Rule{}, err
	}
	return rule, checkHash(at, action, keyHeader(rule.Backends))
}

func decodeBackends(p field.Path, w *routev3.WeightedCluster) ([]mesh.Backend, error) {
	var out []mesh.Backend
	var sum uint64
	for i, c := range w.GetClusters() {
		b, err := decodeBackend(p.Index(i), c)
		if err != nil {
			return nil, err
		}
		sum += uint64(b.Weight)
		out = append(out, b)
	}
	if sum == 0 || sum > math.MaxUint32 {
		return nil, p.Errorf("sum of weights is %d, want 1 to %d", sum, uint32(math.MaxUint32))
	}
	return out, nil
}

func decodeBackend(p field.Path, c *routev3.WeightedCluster_ClusterWeight) (mesh.Backend, error) {
	broker, err := xds.ParseBrokerResource(c.GetName())
	if err != nil {
		return mesh.Backend{}, p.Field("name").Errorf("%w", err)
	}
	at := p.Field("typed_per_filter_config")
	for key := range c.GetTypedPerFilterConfig() {
		if key != xds.FilterConfigKey {
			return mesh.Backend{}, at.Key(key).Errorf("not supported, want only %q", xds.FilterConfigKey)
		}
	}
	at = at.Key(xds.FilterConfigKey)
	var config routev3.FilterConfig
	if err := message.Unpack(at, c.GetTypedPerFilterConfig()[xds.FilterConfigKey], &config); err != nil {
		return mesh.Backend{}, err
	}
	at = at.Field("config")
	var route xdsv1.AmqpRoute
	if err := message.Unpack(at, config.GetConfig(), &route); err != nil {
		return mesh.Backend{}, err
	}
	d, err := decodeDestination(at, &route)
	if err != nil {
		return mesh.Backend{}, err
	}
	d.Broker = broker
	return mesh.Backend{Destination: d, Weight: c.GetWeight().GetValue()}, nil
}
