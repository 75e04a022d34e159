package v1alpha1

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode"

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

func (c *checker) broker(s *EventBrokerSpec, p Path) {
	c.oneOf(p.Child("type"), s.Type, BrokerRabbitMQ, BrokerMemory)
	c.oneOf(p.Child("topology"), s.Topology, TopologyManage, TopologyVerify, TopologyIgnore)
	if s.TLS != nil {
		c.unsupported(p.Child("tls"), "tls")
	}
	if s.ServiceRef != nil {
		c.unsupported(p.Child("serviceRef"), "serviceRef")
	}
	if s.Type == BrokerMemory {
		c.memoryBroker(s, p)
		return
	}
	if s.Credentials != nil {
		c.name(p.Child("credentials").Child("name"), s.Credentials.Name)
	}
	c.shortString(p.Child("vhost"), s.VHost)
	c.heartbeat(p.Child("heartbeat"), s.Heartbeat)
	if len(s.Nodes) == 0 && s.ServiceRef == nil {
		c.invalid(p.Child("nodes"), "is empty: a broker of type RabbitMQ needs at least one node, such as {address: \"127.0.0.1:5672\"}")
	}
	c.nodes(p.Child("nodes"), s.Nodes)
}

// memoryBroker refuses settings that only a broker on the network has.
func (c *checker) memoryBroker(s *EventBrokerSpec, p Path) {
	refuse := func(field string, set bool) {
		if set {
			c.invalid(p.Child(field), "has no meaning for a broker of type Memory, which lives inside one process: remove it")
		}
	}
	refuse("nodes", len(s.Nodes) > 0)
	refuse("vhost", s.VHost != "")
	refuse("credentials", s.Credentials != nil)
	refuse("heartbeat", s.Heartbeat != nil)
	if s.Topology == TopologyVerify || s.Topology == TopologyIgnore {
		c.invalid(p.Child("topology"), "is %s, but a broker of type Memory lives inside one process, where nobody else can declare anything: remove it", s.Topology)
	}
}

func (c *checker) heartbeat(p Path, d *Duration) {
	if d == nil {
		return
	}
	if d.Duration < time.Second || d.Duration > maxHeartbeat || d.Duration%time.Second != 0 {
		c.invalid(p, "is %s: want whole seconds from 1s to %s", d.Duration, short(maxHeartbeat))
	}
}

func (c *checker) nodes(p Path, nodes []BrokerNode) {
	seen := map[string]int{}
	used := map[int32]bool{}
	for i := range nodes {
		n, np := &nodes[i], p.Index(i)
		if err := checkAddress(n.Address); err != nil {
			c.invalid(np.Child("address"), "%s: want host:port, such as \"rabbit-0:5672\"", err)
		} else if first, dup := seen[n.Address]; dup {
			c.invalid(np.Child("address"), "is %q, as that of nodes[%d] is: name each node once", n.Address, first)
		} else {
			seen[n.Address] = i
		}
		c.name(np.Child("zone"), n.Zone)
		c.between(np.Child("priority"), int64(n.Priority), 0, maxNodePriority)
		used[n.Priority] = true
	}
	for i := range nodes {
		if v := nodes[i].Priority; v > 0 && v <= maxNodePriority && !used[v-1] {
			c.invalid(p.Index(i).Child("priority"), "is %d but no node has priority %d: priorities start at 0 and leave no gap", v, v-1)
			return
		}
	}
}

func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || strings.ContainsFunc(host, notInHost) {
		return fmt.Errorf("is %q", address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("is %q, whose port is not a number from 1 to 65535", address)
	}
	return nil
}

// notInHost tells what no name or address of a host has, and what looks like nothing.
func notInHost(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
