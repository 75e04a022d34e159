package resolve

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strings"
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

// sameBrokers finds out which declared brokers are one RabbitMQ: those of one vhost
// that share a node. Names of queues and exchanges must be unique in all of them
// together. Each broker maps to the first of its group.
func (r *resolver) sameBrokers(order []mesh.Name) {
	r.rabbit = map[mesh.Name]mesh.Name{}
	at := map[string]mesh.Name{} // by vhost and address
	for _, name := range order {
		b := r.result.Config.Brokers[name]
		r.rabbit[name] = name
		if b.Type != mesh.RabbitMQ {
			continue
		}
		for _, n := range b.Nodes {
			key := b.VHost + "\n" + whereabouts(name.Namespace, n.Address)
			first, known := at[key]
			if !known {
				at[key] = name
				continue
			}
			r.join(first, name)
		}
	}
}

// join makes two brokers one, with all that are one with them.
func (r *resolver) join(a, b mesh.Name) {
	into, from := r.rabbit[a], r.rabbit[b]
	for name, first := range r.rabbit {
		if first == from {
			r.rabbit[name] = into
		}
	}
}

// whereabouts makes an address comparable. A host of one word is another host in each
// namespace, because of the search path of Kubernetes' DNS. All loopback addresses are
// the same machine.
func whereabouts(namespace, address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return namespace + "/" + address // Validate reports it
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "localhost", err == nil && ip.IsLoopback():
		return "loopback:" + port
	case err == nil:
		return net.JoinHostPort(ip.Unmap().String(), port)
	case !strings.Contains(host, "."):
		return namespace + "/" + host + ":" + port
	default:
		return host + ":" + port
	}
}
