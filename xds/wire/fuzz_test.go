package wire_test

import (
	"reflect"
	"testing"

	"google.golang.org/protobuf/types/known/anypb"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire"
)

// FuzzDecode: whatever bytes arrive, Decode returns; and what it accepts can be
// encoded again and then says the same.
func FuzzDecode(f *testing.F) {
	types := xds.TypeURLs()
	for _, r := range samples(f) {
		for i, t := range types {
			if t == r.TypeURL {
				f.Add(i, r.Any.Value)
			}
		}
	}
	f.Fuzz(func(t *testing.T, kind int, value []byte) {
		typeURL := types[uint(kind)%uint(len(types))]
		first, err := wire.Decode(typeURL, &anypb.Any{TypeUrl: typeURL, Value: value})
		if err != nil {
			return
		}
		if first.ResourceName() == "" {
			t.Error("accepted a resource without a name")
		}
		again(t, first)
	})
}

func again(t *testing.T, d wire.Decoded) {
	var rs []wire.Resource
	var err error
	at := 0
	switch d := d.(type) {
	case *wire.Routes:
		at = 1
		rs, err = wire.EncodeTopic(&mesh.Topic{Name: d.Name, Rules: d.Rules})
		rest := 0
		for i, r := range d.Rules {
			if len(r.Filters) == 0 {
				rest = i + 1
				break
			}
		}
		d.Rules = d.Rules[:rest] // unreachable rules are not sent
	case *wire.Subscription:
		rs, err = wire.EncodeSubscription(&d.Subscription)
	case *wire.Endpoints:
		at = 1
		rs, err = wire.EncodeBroker(&mesh.Broker{Name: d.Name, Type: mesh.Memory, Topology: mesh.Manage, Nodes: d.Nodes})
	default:
		return // names another resource, which need not be of the same name
	}
	if err != nil {
		t.Fatalf("accepted what cannot be encoded: %v\n%+v", err, d)
	}
	second, err := wire.Decode(rs[at].TypeURL, rs[at].Any)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(d, second) {
		t.Errorf("first  %+v\nsecond %+v", d, second)
	}
}
