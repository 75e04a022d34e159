package field

import (
	xdsv1 "github.com/warrenmesh/warren/api/xds/v1"
	"github.com/warrenmesh/warren/mesh"
)

// exchangeTypes are the types AMQP 0-9-1 defines.
var exchangeTypes = []string{"topic", "direct", "fanout", "headers"}

// EncodeExchange is the inverse of DecodeExchange.
func EncodeExchange(e mesh.Exchange) *xdsv1.Exchange {
	return &xdsv1.Exchange{Name: e.Name, Type: e.Type}
}

// DecodeExchange decodes an exchange and checks its name and type.
func DecodeExchange(p Path, e *xdsv1.Exchange) (mesh.Exchange, error) {
	if err := CheckAMQPName(p.Field("name"), e.GetName()); err != nil {
		return mesh.Exchange{}, err
	}
	if err := CheckOneOf(p.Field("type"), e.GetType(), exchangeTypes); err != nil {
		return mesh.Exchange{}, err
	}
	return mesh.Exchange{Name: e.GetName(), Type: e.GetType()}, nil
}

const maxPartitions = 1024

// EncodePartitions encodes none as unset.
func EncodePartitions(s mesh.Partitions) *xdsv1.Partitions {
	if s == (mesh.Partitions{}) {
		return nil
	}
	return &xdsv1.Partitions{Count: s.Count, Key: s.Key}
}

// DecodePartitions decodes unset as none.
func DecodePartitions(p Path, m *xdsv1.Partitions) (mesh.Partitions, error) {
	if m == nil {
		return mesh.Partitions{}, nil
	}
	if n := m.GetCount(); n == 0 || n > maxPartitions {
		return mesh.Partitions{}, p.Field("count").Errorf("is %d, want 1 to %d", n, maxPartitions)
	}
	if err := CheckAttribute(m.GetKey()); err != nil {
		return mesh.Partitions{}, p.Field("key").Errorf("%w", err)
	}
	return mesh.Partitions{Count: m.GetCount(), Key: m.GetKey()}, nil
}
