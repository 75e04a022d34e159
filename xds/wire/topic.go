package wire

import (
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
)

const routerFilter = "envoy.filters.http.router"

// EncodeTopic returns the Listener and the RouteConfiguration of a topic. Rules
// after the first that matches everything are left out: they are never reached.
func EncodeTopic(t *mesh.Topic) ([]Resource, error) {
	t = normalTopic(t)
	name := xds.TopicResource(t.Name)
	listener, err := topicListener(name)
	if err != nil {
		return nil, err
	}
	l, err := newResource(name, listener)
	if err != nil {
		return nil, err
	}
	routes, err := routeConfiguration(name, t.Rules)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", name, err)
	}
	r, err := newResource(name, routes)
	if err != nil {
		return nil, err
	}
	return []Resource{l, r}, nil
}

func topicListener(name string) (*listenerv3.Listener, error) {
	router, err := toAny(&routerv3.Router{})
	if err != nil {
		return nil, err
	}
	api, err := toAny(&hcmv3.HttpConnectionManager{
		StatPrefix: name,
		RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{
			ConfigSource:    adsSource(),
			RouteConfigName: name,
		}},
		HttpFilters: []*hcmv3.HttpFilter{{
			Name:       routerFilter,
			ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: router},
		}},
	})
	if err != nil {
		return nil, err
	}
	return &listenerv3.Listener{Name: name, ApiListener: &listenerv3.ApiListener{ApiListener: api}}, nil
}

func adsSource() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
		ResourceApiVersion:    corev3.ApiVersion_V3,
	}
}

func checkADS(p path, s *corev3.ConfigSource) error {
	if s.GetAds() == nil {
		return p.errorf("want ads")
	}
	if v := s.GetResourceApiVersion(); v != corev3.ApiVersion_V3 && v != corev3.ApiVersion_AUTO {
		return p.field("resource_api_version").errorf("%v is not supported, want V3", v)
	}
	return nil
}

func decodeTopicListener(l *listenerv3.Listener) (*TopicListener, error) {
	name, err := xds.ParseTopicResource(l.GetName())
	if err != nil {
		return nil, path("name").errorf("%w", err)
	}
	if d := l.GetTrafficDirection(); d == corev3.TrafficDirection_INBOUND {
		return nil, path("traffic_direction").errorf("%v is not supported on a topic", d)
	}
	at := path("api_listener").field("api_listener")
	var hcm hcmv3.HttpConnectionManager
	if err := unpack(at, l.GetApiListener().GetApiListener(), &hcm); err != nil {
		return nil, err
	}
	rds := at.field("rds")
	if err := checkADS(rds.field("config_source"), hcm.GetRds().GetConfigSource()); err != nil {
		return nil, err
	}
	if hcm.GetRds().GetRouteConfigName() == "" {
		return nil, rds.field("route_config_name").errorf("is required")
	}
	if err := checkFilters(at.field("http_filters"), hcm.GetHttpFilters()); err != nil {
		return nil, err
	}
	return &TopicListener{Name: name, RouteConfig: hcm.GetRds().GetRouteConfigName()}, nil
}

func checkFilters(p path, filters []*hcmv3.HttpFilter) error {
	if len(filters) != 1 {
		return p.errorf("want %s alone", routerFilter)
	}
	return unpack(p.index(0).field("typed_config"), filters[0].GetTypedConfig(), &routerv3.Router{})
}
