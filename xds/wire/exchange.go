package wire

import (
	xdsv1 "github.com/warrenmesh/warren/api/xds/v1"
	"github.com/warrenmesh/warren/mesh"
)

// exchangeTypes are the types AMQP 0-9-1 defines.
var exchangeTypes = []string{"topic", "direct", "fanout", "headers"}

func encodeExchange(e mesh.Exchange) *xdsv1.Exchange {
	return &xdsv1.Exchange{Name: e.Name, Type: e.Type}
}

func decodeExchange(p path, e *xdsv1.Exchange) (mesh.Exchange, error) {
	if err := checkAMQPName(p.field("name"), e.GetName()); err != nil {
		return mesh.Exchange{}, err
	}
	if err := checkOneOf(p.field("type"), e.GetType(), exchangeTypes); err != nil {
		return mesh.Exchange{}, err
	}
	return mesh.Exchange{Name: e.GetName(), Type: e.GetType()}, nil
}

const maxPartitions = 1024

// encodePartitions encodes none as unset.
func encodePartitions(s mesh.Partitions) *xdsv1.Partitions {
	if s == (mesh.Partitions{}) {
		return nil
	}
	return &xdsv1.Partitions{Count: s.Count, Key: s.Key}
}

func decodePartitions(p path, m *xdsv1.Partitions) (mesh.Partitions, error) {
	if m == nil {
		return mesh.Partitions{}, nil
	}
	if n := m.GetCount(); n == 0 || n > maxPartitions {
		return mesh.Partitions{}, p.field("count").errorf("is %d, want 1 to %d", n, maxPartitions)
	}
	if err := checkAttribute(m.GetKey()); err != nil {
		return mesh.Partitions{}, p.field("key").errorf("%w", err)
	}
	return mesh.Partitions{Count: m.GetCount(), Key: m.GetKey()}, nil
}
