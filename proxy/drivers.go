package proxy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit"
)

// newDriver builds the driver of one broker node.
func (p *Proxy) newDriver(b *mesh.Broker, n mesh.Node) (broker.Driver, error) {
	switch b.Type {
	case mesh.RabbitMQ:
		return queueing.NewNode(rabbit.New(rabbit.Options{
			Address:        n.Address,
			VHost:          b.VHost,
			Credentials:    func() (string, string, error) { return readCredentials(p.opts.CredentialsDir, b.Credentials) },
			ConnectionName: p.opts.Node.ID,
			Heartbeat:      b.Heartbeat,
			OnState:        p.stateChanged,
			Logger:         p.opts.Logger.With("broker", b.Name.String()),
		})), nil
	case mesh.Memory:
		return queueing.NewNode(p.opts.Memory.Node(membroker.NodeOptions{OnState: p.stateChanged})), nil
	default:
		return nil, fmt.Errorf("broker type %s is not supported", b.Type)
	}
}

// stateChanged is called when the state of a driver may have changed.
func (p *Proxy) stateChanged() {
	p.readiness.changed()
	p.pool.StateChanged()
}

// inMemory returns cfg with every broker put into memory. Nobody else declares
// anything there, so the sidecar does.
func inMemory(cfg *mesh.Config) *mesh.Config {
	moved := *cfg
	moved.Brokers = make(map[mesh.Name]*mesh.Broker, len(cfg.Brokers))
	for name := range cfg.Brokers {
		moved.Brokers[name] = &mesh.Broker{Name: name, Type: mesh.Memory, Topology: mesh.Manage}
	}
	return &moved
}

// readCredentials reads <dir>/<name>/username and password; "" names RabbitMQ's
// default account, which brokers accept from loopback only.
func readCredentials(dir, name string) (username, password string, err error) {
	if name == "" {
		return "guest", "guest", nil
	}
	if dir == "" {
		return "", "", fmt.Errorf("credentials %q: the sidecar was started without --credentials-dir", name)
	}
	read := func(file string) (string, error) {
		b, err := os.ReadFile(filepath.Join(dir, name, file)) //nolint:gosec // name is a DNS label, checked where it is declared
		if err != nil {
			return "", err // it names operation and file
		}
		return strings.TrimRight(string(b), "\r\n"), nil
	}
	if username, err = read("username"); err != nil {
		return "", "", err
	}
	if password, err = read("password"); err != nil {
		return "", "", err
	}
	return username, password, nil
}
