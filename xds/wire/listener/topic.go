package listener

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire/field"
	"github.com/warrenmesh/warren/xds/wire/message"
)

const routerFilter = "envoy.filters.http.router"

// EncodeTopic returns the listener of a topic. Its route configuration has the same name.
func EncodeTopic(name string) (*listenerv3.Listener, error) {
	router, err := message.Pack(&routerv3.Router{})
	if err != nil {
		return nil, err
	}
	api, err := message.Pack(&hcmv3.HttpConnectionManager{
		StatPrefix: name,
		RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{
			ConfigSource:    field.EncodeADS(),
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

// DecodeTopic returns the topic of a listener, and the name of its route
// configuration.
func DecodeTopic(l *listenerv3.Listener) (topic mesh.Name, routes string, err error) {
	if topic, err = xds.ParseTopicResource(l.GetName()); err != nil {
		return topic, "", field.Path("name").Errorf("%w", err)
	}
	if d := l.GetTrafficDirection(); d == corev3.TrafficDirection_INBOUND {
		return topic, "", field.Path("traffic_direction").Errorf("%v is not supported on a topic", d)
	}
	at := field.Path("api_listener").Field("api_listener")
	var hcm hcmv3.HttpConnectionManager
	if err := message.Unpack(at, l.GetApiListener().GetApiListener(), &hcm); err != nil {
		return topic, "", err
	}
	rds := at.Field("rds")
	if err := field.CheckADS(rds.Field("config_source"), hcm.GetRds().GetConfigSource()); err != nil {
		return topic, "", err
	}
	if hcm.GetRds().GetRouteConfigName() == "" {
		return topic, "", rds.Field("route_config_name").Errorf("is required")
	}
	if err := checkFilters(at.Field("http_filters"), hcm.GetHttpFilters()); err != nil {
		return topic, "", err
	}
	return topic, hcm.GetRds().GetRouteConfigName(), nil
}

func checkFilters(p field.Path, filters []*hcmv3.HttpFilter) error {
	if len(filters) != 1 {
		return p.Errorf("want %s alone", routerFilter)
	}
	return message.Unpack(p.Index(0).Field("typed_config"), filters[0].GetTypedConfig(), &routerv3.Router{})
}
