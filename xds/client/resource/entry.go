package resource

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/types/known/anypb"

	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire"
)

// Entry is one good resource, as received and as decoded. It is immutable; two forms
// that hold the same entry are the same.
type Entry struct {
	TypeURL string
	Name    string
	Version string
	Any     *anypb.Any
	Decoded wire.Decoded
	// Clusters are the names of the clusters that a route or a subscription uses.
	Clusters []string
}

// Decode is wire.Decode, except in tests.
type Decode func(typeURL string, a *anypb.Any) (wire.Decoded, error)

// Entry decodes one resource. If the decoder panics, the resource is bad, the panic is
// its error, and the sidecar goes on.
func (decode Decode) Entry(typeURL, name, version string, a *anypb.Any) (e *Entry, err error) {
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
	e = &Entry{TypeURL: typeURL, Name: name, Version: version, Any: a, Decoded: d}
	switch d := d.(type) {
	case *wire.Routes:
		e.Clusters = d.Clusters()
	case *wire.Subscription:
		e.Clusters = []string{d.Cluster()}
	}
	return e, nil
}

// As returns what an entry was understood as; false for nil and for another kind.
func As[T wire.Decoded](e *Entry) (T, bool) {
	if e == nil {
		var zero T
		return zero, false
	}
	d, ok := e.Decoded.(T)
	return d, ok
}

// IsSubscription reports whether a resource is the Listener of a subscription, which comes
// by the wildcard.
func IsSubscription(typeURL, name string) bool {
	if typeURL != xds.TypeListener {
		return false
	}
	_, err := xds.ParseSubscriptionResource(name)
	return err == nil
}
