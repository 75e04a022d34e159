package route

import (
	"math"
	"strings"
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	previoushostsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds/wire/field"
	"github.com/warrenmesh/warren/xds/wire/message"
)

const previousHosts = "envoy.retry_host_predicates.previous_hosts"

// Envoy's defaults, for a policy that leaves the field out.
const (
	defaultRetries      = 1
	defaultBaseInterval = 25 * time.Millisecond
	defaultMaxFactor    = 10 // max_interval is 10 times base_interval
)

// encodeRetry encodes a normal policy. One attempt without a timeout of its own is
// no policy: gRPC's own clients refuse num_retries 0.
func encodeRetry(r mesh.Retry) (*routev3.RetryPolicy, error) {
	if r.Attempts == 1 && r.PerTryTimeout == 0 {
		return nil, nil
	}
	if r.Attempts == 0 {
		return nil, field.Path("retry").Errorf("attempts is 0, want at least 1")
	}
	previous, err := message.Pack(&previoushostsv3.PreviousHostsPredicate{})
	if err != nil {
		return nil, err
	}
	on := make([]string, len(r.On))
	for i := range r.On {
		on[i] = r.On[i].String()
	}
	p := &routev3.RetryPolicy{
		RetryOn:       strings.Join(on, ","),
		NumRetries:    wrapperspb.UInt32(r.Attempts - 1),
		PerTryTimeout: field.OptionalDuration(r.PerTryTimeout),
		RetryHostPredicate: []*routev3.RetryPolicy_RetryHostPredicate{{
			Name:       previousHosts,
			ConfigType: &routev3.RetryPolicy_RetryHostPredicate_TypedConfig{TypedConfig: previous},
		}},
	}
	if r.Attempts > 1 {
		p.RetryBackOff = &routev3.RetryPolicy_RetryBackOff{
			BaseInterval: durationpb.New(r.Backoff.Base),
			MaxInterval:  durationpb.New(r.Backoff.Max),
		}
	}
	return p, nil
}

func decodeRetry(p field.Path, r *routev3.RetryPolicy) (mesh.Retry, error) {
	if r == nil {
		return mesh.Retry{Attempts: 1}, nil
	}
	out := mesh.Retry{Attempts: defaultRetries + 1}
	if n := r.GetNumRetries(); n != nil {
		if n.GetValue() == math.MaxUint32 {
			return out, p.Field("num_retries").Errorf("is too large")
		}
		out.Attempts = n.GetValue() + 1
	}
	var err error
	if out.On, err = decodeRetryOn(p.Field("retry_on"), r.GetRetryOn()); err != nil {
		return out, err
	}
	if out.PerTryTimeout, err = field.DecodeOptional(p.Field("per_try_timeout"), r.GetPerTryTimeout(), 1); err != nil {
		return out, err
	}
	if out.Backoff, err = decodeBackOff(p.Field("retry_back_off"), r.GetRetryBackOff()); err != nil {
		return out, err
	}
	for i, h := range r.GetRetryHostPredicate() {
		at := p.Field("retry_host_predicate").Index(i).Field("typed_config")
		if err := message.Unpack(at, h.GetTypedConfig(), &previoushostsv3.PreviousHostsPredicate{}); err != nil {
			return out, err
		}
	}
	return normalRetry(out), nil
}

func decodeRetryOn(p field.Path, s string) ([]mesh.RetryOn, error) {
	if s == "" {
		return nil, nil
	}
	var out []mesh.RetryOn
	for word := range strings.SplitSeq(s, ",") {
		on, err := mesh.ParseRetryOn(strings.TrimSpace(word))
		if err != nil {
			return nil, p.Errorf("%w", err)
		}
		out = append(out, on)
	}
	return out, nil
}

func decodeBackOff(p field.Path, b *routev3.RetryPolicy_RetryBackOff) (mesh.Backoff, error) {
	if b == nil {
		return mesh.Backoff{Base: defaultBaseInterval, Max: defaultMaxFactor * defaultBaseInterval}, nil
	}
	longest := b.GetMaxInterval()
	if longest == nil {
		base := b.GetBaseInterval().AsDuration()
		longest = durationpb.New(min(base, math.MaxInt64/defaultMaxFactor) * defaultMaxFactor)
	}
	return field.DecodeIntervals(p, b.GetBaseInterval(), longest)
}
