package cluster

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire/field"
	"github.com/warrenmesh/warren/xds/wire/message"
)

// EncodeEndpoints returns the assignment of a broker's nodes. The nodes of one priority and
// zone are kept together, in the order of the zone's first. A locality's weight is the
// number of its endpoints, which is what gives every node of a priority the same share.
func EncodeEndpoints(name string, nodes []mesh.Node) (*endpointv3.ClusterLoadAssignment, error) {
	out := &endpointv3.ClusterLoadAssignment{ClusterName: name}
	for _, n := range nodes {
		e, err := encodeEndpoint(n.Address)
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", name, err)
		}
		l := localityOf(out, n)
		l.LbEndpoints = append(l.LbEndpoints, e)
		l.LoadBalancingWeight = wrapperspb.UInt32(uint32(len(l.LbEndpoints)))
	}
	slices.SortStableFunc(out.Endpoints, func(a, b *endpointv3.LocalityLbEndpoints) int {
		return cmp.Compare(a.GetPriority(), b.GetPriority())
	})
	return out, nil
}

// localityOf returns the locality of n's priority and zone, adding it if need be.
func localityOf(a *endpointv3.ClusterLoadAssignment, n mesh.Node) *endpointv3.LocalityLbEndpoints {
	for _, l := range a.GetEndpoints() {
		if l.GetPriority() == n.Priority && l.GetLocality().GetZone() == n.Zone {
			return l
		}
	}
	l := &endpointv3.LocalityLbEndpoints{Locality: &corev3.Locality{Zone: n.Zone}, Priority: n.Priority}
	a.Endpoints = append(a.Endpoints, l)
	return l
}

func encodeEndpoint(address string) (*endpointv3.LbEndpoint, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("node address: %w", err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("node address %q: want a port number", address)
	}
	socket := &corev3.SocketAddress{
		Address:       host,
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(number)},
	}
	return &endpointv3.LbEndpoint{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{
		Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: socket}},
	}}}, nil
}

// DecodeEndpoints returns the broker that an assignment is of, and its nodes by priority.
func DecodeEndpoints(body *anypb.Any) (broker mesh.Name, nodes []mesh.Node, err error) {
	var a endpointv3.ClusterLoadAssignment
	if err := message.Unpack("", body, &a); err != nil {
		return mesh.Name{}, nil, err
	}
	if broker, err = xds.ParseBrokerResource(a.GetClusterName()); err != nil {
		return broker, nil, field.Path("cluster_name").Errorf("%w", err)
	}
	at := field.Path("endpoints")
	seen := map[string]bool{}
	type locality struct {
		zone     string
		priority uint32
	}
	localities := map[locality]bool{}
	for i, l := range a.GetEndpoints() {
		key := locality{l.GetLocality().GetZone(), l.GetPriority()}
		if localities[key] {
			return broker, nil, at.Index(i).Field("locality").Errorf("zone %q is there twice at priority %d", key.zone, key.priority)
		}
		localities[key] = true
		part, err := decodeLocality(at.Index(i), l, seen)
		if err != nil {
			return broker, nil, err
		}
		nodes = append(nodes, part...)
	}
	slices.SortStableFunc(nodes, func(a, b mesh.Node) int { return cmp.Compare(a.Priority, b.Priority) })
	return broker, nodes, checkPriorities(at, nodes)
}

func decodeLocality(p field.Path, l *endpointv3.LocalityLbEndpoints, seen map[string]bool) ([]mesh.Node, error) {
	if l.GetLocality() == nil {
		return nil, p.Field("locality").Errorf("is required")
	}
	if w := l.GetLoadBalancingWeight().GetValue(); int(w) != len(l.GetLbEndpoints()) || w == 0 {
		return nil, p.Field("load_balancing_weight").Errorf("%d is not supported, want the number of endpoints, %d, and one at least", w, len(l.GetLbEndpoints()))
	}
	var out []mesh.Node
	for i, e := range l.GetLbEndpoints() {
		at := p.Field("lb_endpoints").Index(i).Field("endpoint").Field("address").Field("socket_address")
		socket := e.GetEndpoint().GetAddress().GetSocketAddress()
		if socket.GetAddress() == "" || socket.GetPortValue() == 0 || socket.GetPortValue() > 65535 {
			return nil, at.Errorf("want an address and a port_value of 1 to 65535")
		}
		address := net.JoinHostPort(socket.GetAddress(), strconv.FormatUint(uint64(socket.GetPortValue()), 10))
		if seen[address] {
			return nil, at.Errorf("%s is there twice", address)
		}
		seen[address] = true
		out = append(out, mesh.Node{Address: address, Zone: l.GetLocality().GetZone(), Priority: l.GetPriority()})
	}
	return out, nil
}

// checkPriorities refuses gaps in the priorities of sorted nodes, as gRPC's own
// clients do.
func checkPriorities(p field.Path, nodes []mesh.Node) error {
	next := uint32(0)
	for _, n := range nodes {
		if n.Priority > next {
			return p.Errorf("priority %d is missing", next)
		}
		next = n.Priority + 1
	}
	return nil
}
