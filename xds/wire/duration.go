package wire

import (
	"math"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/warrenmesh/warren/mesh"
)

// optionalDuration encodes 0 as unset.
func optionalDuration(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

// decodeOptional decodes unset as 0, and anything else as decodeDuration does.
func decodeOptional(p path, d *durationpb.Duration, least time.Duration) (time.Duration, error) {
	if d == nil {
		return 0, nil
	}
	return decodeDuration(p, d, least)
}

// decodeDuration decodes a duration of at least least; unset is 0.
func decodeDuration(p path, d *durationpb.Duration, least time.Duration) (time.Duration, error) {
	if d != nil && d.CheckValid() != nil {
		return 0, p.errorf("not a valid duration")
	}
	v := d.AsDuration()
	if v < least {
		return 0, p.errorf("%v is less than %v", v, least)
	}
	if v == math.MaxInt64 {
		return 0, p.errorf("is too long")
	}
	return v, nil
}

// decodeIntervals decodes an exponential backoff. Envoy counts it in milliseconds.
func decodeIntervals(p path, base, longest *durationpb.Duration) (mesh.Backoff, error) {
	var out mesh.Backoff
	var err error
	if out.Base, err = decodeDuration(p.field("base_interval"), base, time.Millisecond); err != nil {
		return out, err
	}
	if out.Max, err = decodeDuration(p.field("max_interval"), longest, out.Base); err != nil {
		return out, err
	}
	return out, nil
}
