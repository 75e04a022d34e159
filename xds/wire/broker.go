package wire

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"google.golang.org/protobuf/types/known/anypb"

	xdsv1 "github.com/warrenmesh/warren/api/xds/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
)

func encodeCluster(name string, b *mesh.Broker) (*clusterv3.Cluster, error) {
	options, err := encodeOptions(b)
	if err != nil {
		return nil, err
	}
	return &clusterv3.Cluster{
		Name:                 name,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
		EdsClusterConfig: &clusterv3.Cluster_EdsClusterConfig{
			EdsConfig:   EncodeADS(),
			ServiceName: name,
		},
		TypedExtensionProtocolOptions: map[string]*anypb.Any{xds.ProtocolOptionsKey: options},
	}, nil
}

func decodeCluster(c *clusterv3.Cluster) (*Cluster, error) {
	name, err := xds.ParseBrokerResource(c.GetName())
	if err != nil {
		return nil, Path("name").Errorf("%w", err)
	}
	if c.GetType() != clusterv3.Cluster_EDS {
		return nil, Path("type").Errorf("%v is not supported, want EDS", c.GetType())
	}
	eds := Path("eds_cluster_config")
	if err := CheckADS(eds.Field("eds_config"), c.GetEdsClusterConfig().GetEdsConfig()); err != nil {
		return nil, err
	}
	at := Path("typed_extension_protocol_options")
	for key := range c.GetTypedExtensionProtocolOptions() {
		if key != xds.ProtocolOptionsKey {
			return nil, at.Key(key).Errorf("not supported, want only %q", xds.ProtocolOptionsKey)
		}
	}
	at = at.Key(xds.ProtocolOptionsKey)
	var options xdsv1.AmqpProtocolOptions
	if err := Unpack(at, c.GetTypedExtensionProtocolOptions()[xds.ProtocolOptionsKey], &options); err != nil {
		return nil, err
	}
	b, err := decodeOptions(at, &options)
	if err != nil {
		return nil, err
	}
	b.Name = name
	endpoints := c.GetEdsClusterConfig().GetServiceName()
	if endpoints == "" {
		endpoints = c.GetName()
	}
	return &Cluster{Broker: b, EndpointName: endpoints}, nil
}
