package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/warrenmesh/warren/xds/wire/message"
)

// Resource is one xDS resource, marshalled.
type Resource struct {
	TypeURL string
	Name    string
	Version string // hash of the content: equal resources have equal versions
	Any     *anypb.Any
}

// newResource marshals m and proves that a sidecar would accept it.
func newResource(name string, m proto.Message) (Resource, error) {
	body, err := message.Pack(m)
	if err != nil {
		return Resource{}, fmt.Errorf("encode %s: %w", name, err)
	}
	if _, err := Decode(body.GetTypeUrl(), body); err != nil {
		return Resource{}, fmt.Errorf("encode %s: %w", name, err)
	}
	sum := sha256.Sum256(body.GetValue())
	return Resource{TypeURL: body.GetTypeUrl(), Name: name, Version: hex.EncodeToString(sum[:8]), Any: body}, nil
}
