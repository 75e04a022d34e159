package xds_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/warrenmesh/warren/xds"
)

func TestANodeTellsWhereItListens(t *testing.T) {
	t.Parallel()
	n := xds.Node{
		ID: "a~1", Namespace: "shop", Workload: "a", Labels: map[string]string{},
		Listen: []string{"127.0.0.1:17400", "unix:/run/warren.sock"}, Admin: "127.0.0.1:17410",
	}
	got, err := xds.ParseNode(n.Proto())
	if err != nil || !reflect.DeepEqual(got, n) {
		t.Errorf("%+v, %v, want %+v", got, err, n)
	}
	// An address that cannot be shown is no reason to refuse the node.
	n.Listen, n.Admin = []string{"unix:/a b", "unix:/\x1b[2J", "unix:/" + strings.Repeat("x", 300), "127.0.0.1:1"}, "unix:/ü"
	got, err = xds.ParseNode(n.Proto())
	if err != nil || !reflect.DeepEqual(got.Listen, []string{"127.0.0.1:1"}) || got.Admin != "" {
		t.Errorf("%+v, %v", got, err)
	}
	n.Listen = strings.Split(strings.Repeat("127.0.0.1:1 ", 20), " ")
	if got, err = xds.ParseNode(n.Proto()); err != nil || len(got.Listen) != 8 {
		t.Errorf("20 addresses became %d, %v", len(got.Listen), err)
	}
}
