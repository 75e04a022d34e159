package xds

import (
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/structpb"
)

// Node is how a sidecar introduces itself to the control plane.
type Node struct {
	// ID is unique among the sidecars of a mesh: "<workload>.<namespace>~<instance>".
	ID        string
	Namespace string
	Workload  string
	Labels    map[string]string
	Version   string // of the sidecar
}

const userAgent = "warren-sidecar"

// Proto returns the node as Envoy's message: cluster is the workload; namespace
// and labels are metadata.
func (n Node) Proto() *corev3.Node {
	labels := make(map[string]*structpb.Value, len(n.Labels))
	for k, v := range n.Labels {
		labels[k] = structpb.NewStringValue(v)
	}
	return &corev3.Node{
		Id:      n.ID,
		Cluster: n.Workload,
		Metadata: &structpb.Struct{Fields: map[string]*structpb.Value{
			"namespace": structpb.NewStringValue(n.Namespace),
			"labels":    structpb.NewStructValue(&structpb.Struct{Fields: labels}),
		}},
		UserAgentName:        userAgent,
		UserAgentVersionType: &corev3.Node_UserAgentVersion{UserAgentVersion: n.Version},
	}
}

// ParseNode is the inverse of Node.Proto. A node without id or namespace is an
// error: it could not be told what concerns it.
func ParseNode(p *corev3.Node) (Node, error) {
	fields := p.GetMetadata().GetFields()
	n := Node{
		ID:        p.GetId(),
		Workload:  p.GetCluster(),
		Namespace: fields["namespace"].GetStringValue(),
		Version:   p.GetUserAgentVersion(),
		Labels:    map[string]string{},
	}
	if n.ID == "" {
		return Node{}, fmt.Errorf("node: id is empty")
	}
	if n.Namespace == "" {
		return Node{}, fmt.Errorf("node %q: metadata.namespace is empty", n.ID)
	}
	for k, v := range fields["labels"].GetStructValue().GetFields() {
		n.Labels[k] = v.GetStringValue()
	}
	return n, nil
}
