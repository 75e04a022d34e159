package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// EventBroker declares one RabbitMQ cluster and vhost, or the in-process broker.
type EventBroker struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   EventBrokerSpec `json:"spec"`
	Status Status          `json:"status,omitempty"`
}

// EventBrokerSpec says how to reach a broker and who declares what is on it.
type EventBrokerSpec struct {
	// Type of the broker. Memory lives inside one process and keeps nothing; it is
	// for tests and a first look.
	// +kubebuilder:validation:Enum=RabbitMQ;Memory
	// +warren:default=RabbitMQ
	Type string `json:"type,omitempty"`
	// VHost is RabbitMQ's virtual host. Memory has none.
	// +kubebuilder:validation:MaxLength=255
	// +warren:default=/
	VHost string `json:"vhost,omitempty"`
	// Nodes are the endpoints of the cluster. RabbitMQ needs at least one; Memory has
	// none.
	Nodes []BrokerNode `json:"nodes,omitempty"`
	// Credentials to log in with. Memory has none.
	Credentials *CredentialsRef `json:"credentials,omitempty"`
	// Topology says who declares exchanges, queues and bindings. Manage: sidecars
	// do. Verify: others do, and sidecars check that exchanges and queues are there.
	// Ignore: others do, and nothing is checked. Memory is always managed.
	// +kubebuilder:validation:Enum=Manage;Verify;Ignore
	// +warren:default=Manage
	Topology string `json:"topology,omitempty"`
	// Heartbeat of AMQP connections, in whole seconds. Memory has none.
	// +warren:range=1s..10m
	// +warren:default=10s
	Heartbeat *metav1.Duration `json:"heartbeat,omitempty"`
	// TLS secures the connections to the broker.
	// +warren:unsupported
	TLS *BrokerTLS `json:"tls,omitempty"`
	// ServiceRef takes the nodes from a Kubernetes Service.
	// +warren:unsupported
	ServiceRef *LocalRef `json:"serviceRef,omitempty"`
}

// BrokerNode is one endpoint of a broker.
type BrokerNode struct {
	// Address of the AMQP listener, as host:port.
	// +warren:format=hostport
	Address string `json:"address"`
	// Zone the node is in.
	// +warren:format=name
	// +warren:default=default
	Zone string `json:"zone,omitempty"`
	// Priority of the node. Nodes of a higher number are used only while no node of a
	// lower number can be used. Priorities start at 0 and leave no gap.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=128
	// +warren:default=0
	Priority int32 `json:"priority,omitempty"`
}

// CredentialsRef names credentials on the sidecar's side.
type CredentialsRef struct {
	// Name of the directory below the sidecar's --credentials-dir that holds the
	// files username and password.
	// +warren:format=name
	Name string `json:"name"`
}

// BrokerTLS says how a broker proves its identity.
type BrokerTLS struct {
	// CACertificate names the certificate of the authority to trust.
	CACertificate string `json:"caCertificate,omitempty"`
	// ServerName is the name the broker's certificate must carry.
	ServerName string `json:"serverName,omitempty"`
}
