package cluster

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"google.golang.org/protobuf/types/known/anypb"

	xdsv1 "github.com/warrenmesh/warren/api/xds/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire/field"
	"github.com/warrenmesh/warren/xds/wire/message"
)

// Encode returns the cluster of a broker.
func Encode(name string, b *mesh.Broker) (*clusterv3.Cluster, error) {
	options, err := encodeOptions(b)
	if err != nil {
		return nil, err
	}
	return &clusterv3.Cluster{
		Name:                 name,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
		EdsClusterConfig: &clusterv3.Cluster_EdsClusterConfig{
			EdsConfig:   field.EncodeADS(),
			ServiceName: name,
		},
		TypedExtensionProtocolOptions: map[string]*anypb.Any{xds.ProtocolOptionsKey: options},
	}, nil
}

// Decode returns a broker without its nodes, and the name of the assignment that has
// them.
func Decode(body *anypb.Any) (b mesh.Broker, endpoints string, err error) {
	var c clusterv3.Cluster
	if err := message.Unpack("", body, &c); err != nil {
		return b, "", err
	}
	name, err := xds.ParseBrokerResource(c.GetName())
	if err != nil {
		return b, "", field.Path("name").Errorf("%w", err)
	}
	if c.GetType() != clusterv3.Cluster_EDS {
		return b, "", field.Path("type").Errorf("%v is not supported, want EDS", c.GetType())
	}
	eds := field.Path("eds_cluster_config")
	if err := field.CheckADS(eds.Field("eds_config"), c.GetEdsClusterConfig().GetEdsConfig()); err != nil {
		return b, "", err
	}
	at := field.Path("typed_extension_protocol_options")
	for key := range c.GetTypedExtensionProtocolOptions() {
		if key != xds.ProtocolOptionsKey {
			return b, "", at.Key(key).Errorf("not supported, want only %q", xds.ProtocolOptionsKey)
		}
	}
	at = at.Key(xds.ProtocolOptionsKey)
	var options xdsv1.AmqpProtocolOptions
	if err := message.Unpack(at, c.GetTypedExtensionProtocolOptions()[xds.ProtocolOptionsKey], &options); err != nil {
		return b, "", err
	}
	if b, err = decodeOptions(at, &options); err != nil {
		return b, "", err
	}
	b.Name = name
	endpoints = c.GetEdsClusterConfig().GetServiceName()
	if endpoints == "" {
		endpoints = c.GetName()
	}
	return b, endpoints, nil
}
