package client

import (
	"errors"
	"fmt"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/warrenmesh/warren/xds/wire"
)

// decodeFunc is wire.Decode, except in tests.
type decodeFunc func(typeURL string, a *anypb.Any) (wire.Decoded, error)

// entry decodes one resource. If the decoder panics, the resource is bad, the panic is
// its error, and the sidecar goes on.
func (decode decodeFunc) entry(typeURL, name, version string, a *anypb.Any) (e *entry, err error) {
	defer func() {
		if p := recover(); p != nil {
			e, err = nil, fmt.Errorf("decoder panicked: %v", p)
		}
	}()
	if a == nil {
		return nil, errors.New("resource has no content")
	}
	d, err := decode(typeURL, a)
	if err != nil {
		return nil, err
	}
	if inner := d.ResourceName(); inner != name {
		return nil, fmt.Errorf("the message inside is named %q", inner)
	}
	e = &entry{typeURL: typeURL, name: name, version: version, any: a, decoded: d}
	switch d := d.(type) {
	case *wire.Routes:
		e.clusters = d.Clusters()
	case *wire.Subscription:
		e.clusters = []string{d.Cluster()}
	}
	return e, nil
}

func resourceName(r *discoveryv3.Resource) string {
	if r.GetName() != "" {
		return r.GetName()
	}
	return r.GetResourceName().GetName()
}

// errorDetail says what is bad, one line per resource; nil means a good response.
func errorDetail(bad []wire.Rejection) *rpcstatus.Status {
	if len(bad) == 0 {
		return nil
	}
	return &rpcstatus.Status{Code: int32(codes.InvalidArgument), Message: wire.FormatRejections(bad)}
}
