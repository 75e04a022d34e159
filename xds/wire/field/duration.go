package field

import (
	"math"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/warrenmesh/warren/mesh"
)

// OptionalDuration encodes 0 as unset.
func OptionalDuration(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

// DecodeOptional decodes unset as 0, and anything else as DecodeDuration does.
func DecodeOptional(p Path, d *durationpb.Duration, least time.Duration) (time.Duration, error) {
	if d == nil {
		return 0, nil
	}
	return DecodeDuration(p, d, least)
}

// DecodeDuration decodes a duration of at least least; unset is 0.
func DecodeDuration(p Path, d *durationpb.Duration, least time.Duration) (time.Duration, error) {
	if d != nil && d.CheckValid() != nil {
		return 0, p.Errorf("not a valid duration")
	}
	v := d.AsDuration()
	if v < least {
		return 0, p.Errorf("%v is less than %v", v, least)
	}
	if v == math.MaxInt64 {
		return 0, p.Errorf("is too long")
	}
	return v, nil
}

// DecodeIntervals decodes an exponential backoff. Envoy counts it in milliseconds.
func DecodeIntervals(p Path, base, longest *durationpb.Duration) (mesh.Backoff, error) {
	var out mesh.Backoff
	var err error
	if out.Base, err = DecodeDuration(p.Field("base_interval"), base, time.Millisecond); err != nil {
		return out, err
	}
	if out.Max, err = DecodeDuration(p.Field("max_interval"), longest, out.Base); err != nil {
		return out, err
	}
	return out, nil
}
