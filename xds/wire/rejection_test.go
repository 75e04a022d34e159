package wire_test

import (
	"reflect"
	"testing"

	"github.com/warrenmesh/warren/xds/wire"
)

func TestRejectionsComeBackAsOneLineEach(t *testing.T) {
	t.Parallel()
	text := wire.FormatRejections([]wire.Rejection{
		{Resource: "topic/shop/orders", Error: "virtual_hosts[0]: not supported"},
		{Resource: "broker/shop/main", Error: "two\nlines"},
	})
	if want := "topic/shop/orders: virtual_hosts[0]: not supported\nbroker/shop/main: two; lines"; text != want {
		t.Errorf("text is %q, want %q", text, want)
	}
	want := []wire.Rejection{
		{Resource: "topic/shop/orders", Error: "virtual_hosts[0]: not supported"},
		{Resource: "broker/shop/main", Error: "two; lines"},
	}
	if got := wire.ParseRejections(text); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := wire.ParseRejections("xds client says no"); got != nil {
		t.Errorf("free text names %+v", got)
	}
}
