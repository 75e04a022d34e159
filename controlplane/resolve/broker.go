package resolve

import (
	"cmp"
	"slices"
	"time"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/mesh"
)

// policies are the topology policies by the names of the kind.
var policies = map[string]mesh.TopologyPolicy{
	v1alpha1.TopologyManage: mesh.Manage, v1alpha1.TopologyVerify: mesh.Verify, v1alpha1.TopologyIgnore: mesh.Ignore,
}

func broker(name mesh.Name, s *v1alpha1.EventBrokerSpec) *mesh.Broker {
	b := &mesh.Broker{
		Name:      name,
		Type:      mesh.RabbitMQ,
		VHost:     s.VHost,
		Topology:  policies[s.Topology],
		Heartbeat: duration(s.Heartbeat),
	}
	if s.Type == v1alpha1.BrokerMemory {
		b.Type = mesh.Memory
	}
	if s.Credentials != nil {
		b.Credentials = s.Credentials.Name
	}
	for _, n := range s.Nodes {
		b.Nodes = append(b.Nodes, mesh.Node{Address: n.Address, Zone: n.Zone, Priority: count(n.Priority)})
	}
	slices.SortStableFunc(b.Nodes, func(x, y mesh.Node) int { return cmp.Compare(x.Priority, y.Priority) })
	return b
}

// refuse reports a field that asks for something the broker's type cannot do.
func (r *resolver) refuse(o *declare.Object, path v1alpha1.Path, b *mesh.Broker, what, instead string) {
	r.problem(o, path, v1alpha1.Invalid, "asks for "+what+", which broker "+b.Name.String()+" of type "+b.Type.String()+" cannot honour: "+instead)
}

func duration(d *v1alpha1.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return d.Duration
}

// count is n as the mesh counts; a negative one, which Validate refuses, is 0.
func count(n int32) uint32 { return uint32(max(0, n)) }

func countOf(n *int32) uint32 {
	if n == nil {
		return 0
	}
	return count(*n)
}
