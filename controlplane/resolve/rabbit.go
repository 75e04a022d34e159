package resolve

import (
	"net"
	"net/netip"
	"strings"

	"github.com/warrenmesh/warren/mesh"
)

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
