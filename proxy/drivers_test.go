package proxy

import (
	"testing"

	"github.com/warrenmesh/warren/mesh"
)

func TestInMemoryLeavesTheConfigurationAloneAndManagesWhatIsDeclared(t *testing.T) {
	t.Parallel()
	name := mesh.Name{Namespace: "shop", Name: "main"}
	cfg := &mesh.Config{Version: "1", Brokers: map[mesh.Name]*mesh.Broker{
		name: {Name: name, Type: mesh.RabbitMQ, Topology: mesh.Verify, Nodes: []mesh.Node{{Address: "a"}, {Address: "b"}}},
	}}
	moved := inMemory(cfg)
	if b := moved.Brokers[name]; b.Name != name || b.Type != mesh.Memory || b.Topology != mesh.Manage || len(b.Nodes) != 0 {
		t.Errorf("moved to %+v", b)
	}
	if moved.Version != "1" {
		t.Errorf("version %q", moved.Version)
	}
	if b := cfg.Brokers[name]; b.Type != mesh.RabbitMQ || b.Topology != mesh.Verify || len(b.Nodes) != 2 {
		t.Errorf("the configuration became %+v", b)
	}
}
