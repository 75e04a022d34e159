package xds

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"
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
	// Listen and Admin are where it serves events and operators, on its own machine; they
	// may be unknown. They are for people, and decide nothing.
	Listen []string
	Admin  string
	// Stock is true for a client that is not a Warren sidecar. Proto ignores it.
	Stock bool
}

const userAgent = "warren-sidecar"

// Proto returns the node as Envoy's message: cluster is the workload; namespace
// and labels are metadata.
func (n Node) Proto() *corev3.Node {
	labels := make(map[string]*structpb.Value, len(n.Labels))
	for k, v := range n.Labels {
		labels[k] = structpb.NewStringValue(v)
	}
	metadata := map[string]*structpb.Value{
		"namespace": structpb.NewStringValue(n.Namespace),
		"labels":    structpb.NewStructValue(&structpb.Struct{Fields: labels}),
	}
	if listen := addresses(n.Listen...); len(listen) > 0 {
		values := make([]*structpb.Value, len(listen))
		for i, address := range listen {
			values[i] = structpb.NewStringValue(address)
		}
		metadata["listen"] = structpb.NewListValue(&structpb.ListValue{Values: values})
	}
	for _, admin := range addresses(n.Admin) {
		metadata["admin"] = structpb.NewStringValue(admin)
	}
	return &corev3.Node{
		Id:                   n.ID,
		Cluster:              n.Workload,
		Metadata:             &structpb.Struct{Fields: metadata},
		UserAgentName:        userAgent,
		UserAgentVersionType: &corev3.Node_UserAgentVersion{UserAgentVersion: n.Version},
	}
}

// Bounds of a node's identity.
const (
	// MaxNodeName is the most bytes of its id, namespace, workload and version: as many
	// as a Kubernetes name may have.
	MaxNodeName = 253
	// MaxNodeMetadata is the most bytes of its metadata, which has its labels.
	MaxNodeMetadata = 8 << 10
)

// ParseNode is the inverse of Node.Proto. A node without id or namespace is an error,
// because the control plane could not tell which resources concern it. So is one whose
// words are no names, because people read them in logs and tables.
func ParseNode(p *corev3.Node) (Node, error) {
	if p.GetId() == "" {
		return Node{}, errors.New("node: id is empty")
	}
	if size := proto.Size(p.GetMetadata()); size > MaxNodeMetadata {
		return Node{}, fmt.Errorf("node: metadata has %d bytes: want at most %d", size, MaxNodeMetadata)
	}
	fields := p.GetMetadata().GetFields()
	n := Node{
		ID:        p.GetId(),
		Workload:  p.GetCluster(),
		Namespace: fields["namespace"].GetStringValue(),
		Version:   p.GetUserAgentVersion(),
		Labels:    map[string]string{},
		Stock:     p.GetUserAgentName() != userAgent,
	}
	for _, word := range []struct{ field, text string }{
		{"id", n.ID}, {"metadata.namespace", n.Namespace}, {"cluster", n.Workload}, {"user_agent_version", n.Version},
	} {
		if err := checkWord(word.text); err != nil {
			return Node{}, fmt.Errorf("node: %s %w", word.field, err)
		}
	}
	if n.Namespace == "" {
		return Node{}, fmt.Errorf("node %q: metadata.namespace is empty", n.ID)
	}
	for _, v := range fields["listen"].GetListValue().GetValues() {
		n.Listen = append(n.Listen, addresses(v.GetStringValue())...)
	}
	n.Listen = n.Listen[:min(len(n.Listen), maxAddresses)]
	for _, admin := range addresses(fields["admin"].GetStringValue()) {
		n.Admin = admin
	}
	for k, v := range fields["labels"].GetStructValue().GetFields() {
		n.Labels[k] = v.GetStringValue()
		if strings.ContainsFunc(k+n.Labels[k], func(r rune) bool { return !unicode.IsGraphic(r) }) {
			return Node{}, fmt.Errorf("node %q: label %q: %q must not contain control characters", n.ID, k, n.Labels[k])
		}
	}
	return n, nil
}

// maxAddresses bounds the addresses that a node tells.
const maxAddresses = 8

// addresses returns those that can be shown to people as they are. One that cannot is left
// out: it would be no reason to refuse the node.
func addresses(all ...string) []string {
	var out []string
	for _, a := range all {
		if a != "" && checkWord(a) == nil && len(out) < maxAddresses {
			out = append(out, a)
		}
	}
	return out
}

// checkWord allows printable ASCII without blanks.
func checkWord(s string) error {
	if len(s) > MaxNodeName {
		return fmt.Errorf("has %d bytes: want at most %d", len(s), MaxNodeName)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("is %+q: want letters, digits and punctuation of ASCII, without blanks", s)
	}
	return nil
}
