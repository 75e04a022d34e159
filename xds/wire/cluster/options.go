package cluster

import (
	"math"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	xdsv1 "github.com/warrenmesh/warren/api/xds/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds/wire/field"
	"github.com/warrenmesh/warren/xds/wire/message"
)

var brokerTypes = map[mesh.BrokerType]xdsv1.BrokerType{
	mesh.RabbitMQ: xdsv1.BrokerType_BROKER_TYPE_RABBITMQ,
	mesh.Memory:   xdsv1.BrokerType_BROKER_TYPE_MEMORY,
}

var topologyPolicies = map[mesh.TopologyPolicy]xdsv1.TopologyPolicy{
	mesh.Manage: xdsv1.TopologyPolicy_TOPOLOGY_POLICY_MANAGE,
	mesh.Verify: xdsv1.TopologyPolicy_TOPOLOGY_POLICY_VERIFY,
	mesh.Ignore: xdsv1.TopologyPolicy_TOPOLOGY_POLICY_IGNORE,
}

// maxHeartbeat is AMQP's: a 16-bit count of seconds.
const maxHeartbeat = math.MaxUint16 * time.Second

func encodeOptions(b *mesh.Broker) (*anypb.Any, error) {
	return message.Pack(&xdsv1.AmqpProtocolOptions{
		Type:        brokerTypes[b.Type],
		Vhost:       b.VHost,
		Credentials: b.Credentials,
		Topology:    topologyPolicies[b.Topology],
		Heartbeat:   durationpb.New(b.Heartbeat),
	})
}

// decodeOptions decodes all of a broker but its name and nodes.
func decodeOptions(p field.Path, o *xdsv1.AmqpProtocolOptions) (mesh.Broker, error) {
	b := mesh.Broker{VHost: o.GetVhost(), Credentials: o.GetCredentials()}
	var ok bool
	if b.Type, ok = keyOf(brokerTypes, o.GetType()); !ok {
		return b, p.Field("type").Errorf("%v is not supported", o.GetType())
	}
	if b.Topology, ok = keyOf(topologyPolicies, o.GetTopology()); !ok {
		return b, p.Field("topology").Errorf("%v is not supported", o.GetTopology())
	}
	switch {
	case b.VHost == "" && b.Type == mesh.RabbitMQ:
		return b, p.Field("vhost").Errorf("is required")
	case len(b.VHost) > field.MaxShortStr:
		return b, p.Field("vhost").Errorf("has %d bytes, want at most %d", len(b.VHost), field.MaxShortStr)
	case !isFileName(b.Credentials) && b.Credentials != "":
		return b, p.Field("credentials").Errorf("%q is not the name of a directory", b.Credentials)
	}
	var err error
	if b.Heartbeat, err = field.DecodeDuration(p.Field("heartbeat"), o.GetHeartbeat(), 0); err != nil {
		return b, err
	}
	if h := b.Heartbeat; h != 0 && (h < time.Second || h > maxHeartbeat) {
		return b, p.Field("heartbeat").Errorf("%v: want 0 (none) or 1s to %v", h, maxHeartbeat)
	}
	return b, nil
}

// isFileName reports whether s names a file or directory inside a directory. A control
// plane must not name a path outside of it.
func isFileName(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsAny(s, "/\\\x00")
}

func keyOf[K, V comparable](m map[K]V, want V) (K, bool) {
	for k, v := range m {
		if v == want {
			return k, true
		}
	}
	var zero K
	return zero, false
}
