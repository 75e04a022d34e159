package wire

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

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
