package field

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// EncodeADS names the stream itself as the source of what a resource refers to.
func EncodeADS() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
		ResourceApiVersion:    corev3.ApiVersion_V3,
	}
}

// CheckADS refuses any source but the stream itself.
func CheckADS(p Path, s *corev3.ConfigSource) error {
	if s.GetAds() == nil {
		return p.Errorf("want ads")
	}
	if v := s.GetResourceApiVersion(); v != corev3.ApiVersion_V3 && v != corev3.ApiVersion_AUTO {
		return p.Field("resource_api_version").Errorf("%v is not supported, want V3", v)
	}
	return nil
}
