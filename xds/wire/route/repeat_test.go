package route

import (
	"reflect"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire/message"
)

func exampleRules() []mesh.Rule {
	backend := func(weight uint32, topic string) mesh.Backend {
		return mesh.Backend{Weight: weight, Destination: mesh.Destination{
			Topic: mesh.Name{Namespace: "shop", Name: topic}, Broker: mesh.Name{Namespace: "shop", Name: "main"},
			Exchange: mesh.Exchange{Name: topic, Type: "topic"}, RoutingKey: "{type}", ConfirmTimeout: 1, MaxEventBytes: 1,
		}}
	}
	is := func(value string) []mesh.Filter { return []mesh.Filter{{Op: mesh.Exact, Attr: "type", Value: value}} }
	retried := mesh.Retry{Attempts: 3, On: []mesh.RetryOn{mesh.OnNack}, Backoff: mesh.Backoff{Base: 1e6, Max: 1e9}}
	once := mesh.Retry{Attempts: 1}
	return []mesh.Rule{
		{Name: "r/a", Filters: is("a"), Backends: []mesh.Backend{backend(1, "orders")}, Retry: retried},
		{Name: "r/b", Filters: is("b"), Backends: []mesh.Backend{backend(1, "orders")}, Retry: retried},
		{Name: "r/c", Filters: is("c"), Backends: []mesh.Backend{backend(2, "orders"), backend(1, "others")}, Retry: once},
		{Name: "r/d", Filters: is("d"), Backends: []mesh.Backend{backend(1, "orders")}, Retry: once, Timeout: 5},
		{Backends: []mesh.Backend{backend(1, "orders")}, Retry: retried},
	}
}

func TestRulesThatDoTheSameShareIt(t *testing.T) {
	t.Parallel()
	rules := exampleRules()
	for _, tree := range []bool{false, true} {
		if tree {
			rules[0].Filters[0] = mesh.Filter{Op: mesh.Any, Sub: []mesh.Filter{rules[0].Filters[0], rules[1].Filters[0]}}
		}
		c, err := Encode("topic/shop/orders", rules)
		if err != nil {
			t.Fatal(err)
		}
		body, err := message.Pack(c)
		if err != nil {
			t.Fatal(err)
		}
		_, got, err := Decode(body)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, rules) {
			t.Errorf("got %+v, want %+v", got, rules)
		}
		if &got[0].Backends[0] != &got[1].Backends[0] || &got[0].Backends[0] == &got[3].Backends[0] {
			t.Error("rules a and b do the same and do not share their backends, or d does something else and does")
		}
	}
}

// FuzzRoutes: decoding what routes do apart from the routes changes no answer.
func FuzzRoutes(f *testing.F) {
	for n := range len(exampleRules()) {
		c, err := Encode("topic/shop/orders", exampleRules()[n:])
		if err != nil {
			f.Fatal(err)
		}
		body, err := proto.Marshal(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
		f.Add(append(body, body...)) // two virtual hosts
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		body := &anypb.Any{TypeUrl: xds.TypeRoute, Value: value}
		var c routev3.RouteConfiguration
		var topic mesh.Name
		var want []mesh.Rule
		wantErr := message.Unpack("", body, &c)
		if wantErr == nil {
			topic, want, wantErr = decode(&c, nil)
		}
		name, got, err := Decode(body)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("error %v, want %v", err, wantErr)
		}
		if err == nil && (name != topic || !reflect.DeepEqual(got, want)) {
			t.Errorf("got %v %+v, want %v %+v", name, got, topic, want)
		}
	})
}
