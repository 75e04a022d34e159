package listener

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	xdsv1 "github.com/warrenmesh/warren/api/xds/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds/wire/field"
)

// encodeOrder and encodeKeyPolicy use the mesh's numbers. An unknown value is carried
// over, and decoding refuses it.
func encodeOrder(o mesh.Ordering) xdsv1.Ordering { return xdsv1.Ordering(o) }

func encodeKeyPolicy(k mesh.KeyPolicy) xdsv1.KeyPolicy { return xdsv1.KeyPolicy(k) }

// decodeOrdering decodes the fields that keep the order of keys.
func decodeOrdering(p field.Path, m *xdsv1.SubscriptionListener, s *mesh.Subscription) (err error) {
	if s.Partitions, err = field.DecodePartitions(p.Field("partitions"), m.GetPartitions()); err != nil {
		return err
	}
	if s.MaxElapsed, err = field.DecodeOptional(maxElapsed(p), m.GetRedelivery().GetMaxElapsed(), time.Second); err != nil {
		return err
	}
	s.Ordering, s.KeyPolicy = mesh.Ordering(m.GetOrdering()), mesh.KeyPolicy(m.GetKeyPolicy())
	if s.KeyPolicy != mesh.Continue && s.KeyPolicy != mesh.Hold {
		return p.Field("key_policy").Errorf("%v is not supported", m.GetKeyPolicy())
	}
	switch s.Ordering {
	case mesh.PerKey:
		return checkPerKey(p, s)
	case mesh.Unordered:
		return checkUnordered(p, s)
	default:
		return p.Field("ordering").Errorf("%v is not supported", m.GetOrdering())
	}
}

func maxElapsed(p field.Path) field.Path { return p.Field("redelivery").Field("max_elapsed") }

func checkPerKey(p field.Path, s *mesh.Subscription) error {
	if s.Partitions.Count == 0 {
		return p.Field("partitions").Errorf("is required: ordering is by key")
	}
	if s.MaxElapsed == 0 {
		return maxElapsed(p).Errorf("is required: ordering is by key")
	}
	if n := len(s.Queue.Name); n > mesh.MaxPartitionedQueue {
		return p.Field("queue").Field("name").Errorf("has %d bytes, want at most %d with partitions", n, mesh.MaxPartitionedQueue)
	}
	return nil
}

// checkUnordered refuses fields that would have no effect.
func checkUnordered(p field.Path, s *mesh.Subscription) error {
	const useless = "not supported without order"
	switch {
	case s.Partitions.Count > 0:
		return p.Field("partitions").Errorf(useless)
	case s.MaxElapsed > 0:
		return maxElapsed(p).Errorf(useless)
	case s.KeyPolicy != mesh.Continue:
		return p.Field("key_policy").Errorf(useless)
	}
	return nil
}

func encodeDedupe(d mesh.Dedupe) *xdsv1.Dedupe {
	if d == (mesh.Dedupe{}) {
		return nil
	}
	return &xdsv1.Dedupe{Window: durationpb.New(d.Window), MaxEntries: d.MaxEntries}
}

func decodeDedupe(p field.Path, m *xdsv1.Dedupe) (mesh.Dedupe, error) {
	if m == nil {
		return mesh.Dedupe{}, nil
	}
	window, err := field.DecodeDuration(p.Field("window"), m.GetWindow(), 1)
	if err != nil {
		return mesh.Dedupe{}, err
	}
	if m.GetMaxEntries() == 0 {
		return mesh.Dedupe{}, p.Field("max_entries").Errorf("is 0, want at least 1")
	}
	return mesh.Dedupe{Window: window, MaxEntries: m.GetMaxEntries()}, nil
}
