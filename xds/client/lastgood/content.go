package lastgood

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Format changes when an older sidecar could misread the file. A file of another format
// is corrupt.
const Format = 1

// Content is the content of the state file: the resources of one applied
// snapshot. Resources name credentials and never hold them, so there is no secret
// in it.
type Content struct {
	Format    int        `json:"format"`
	SavedAt   time.Time  `json:"savedAt"`
	Namespace string     `json:"namespace"`
	Workload  string     `json:"workload"`
	Version   string     `json:"version"` // hash over the resources
	Topics    []string   `json:"topics"`  // in use, as "namespace/name"
	Resources []Resource `json:"resources"`
}

// Resource is one resource of a snapshot.
type Resource struct {
	TypeURL string `json:"typeUrl"`
	Name    string `json:"name"`
	Version string `json:"version"`
	Any     []byte `json:"any"` // a serialized google.protobuf.Any
}

// NewResource returns a resource as it is stored.
func NewResource(typeURL, name, version string, a *anypb.Any) (Resource, error) {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(a)
	if err != nil {
		return Resource{}, fmt.Errorf("marshal resource %q: %w", name, err)
	}
	return Resource{TypeURL: typeURL, Name: name, Version: version, Any: raw}, nil
}

// Unpack returns the content of a stored resource.
func (r Resource) Unpack() (*anypb.Any, error) {
	a := &anypb.Any{}
	if err := proto.Unmarshal(r.Any, a); err != nil {
		return nil, fmt.Errorf("unmarshal resource %q: %w", r.Name, err)
	}
	return a, nil
}
