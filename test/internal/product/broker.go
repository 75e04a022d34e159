package product

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Broker is the RabbitMQ that the sidecars use.
type Broker struct {
	URL string
	uri amqp.URI
}

// NewBroker takes an amqp:// URL.
func NewBroker(url string) (Broker, error) {
	uri, err := amqp.ParseURI(url)
	if err != nil {
		return Broker{}, fmt.Errorf("parse the broker's URL: %w", err)
	}
	return Broker{URL: url, uri: uri}, nil
}

// Username is that of the URL.
func (b Broker) Username() string { return b.uri.Username }

// Password is that of the URL.
func (b Broker) Password() string { return b.uri.Password }

// YAML declares the broker as EventBroker "main" of a namespace.
func (b Broker) YAML(namespace string) string {
	return fmt.Sprintf(`apiVersion: warrenmesh.io/v1alpha1
kind: EventBroker
metadata: {name: main, namespace: %s}
spec:
  vhost: %q
  nodes: [{address: %q}]
  credentials: {name: main}
---
`, namespace, b.uri.Vhost, net.JoinHostPort(b.uri.Host, strconv.Itoa(b.uri.Port)))
}

// writeCredentials writes the files of a sidecar's --credentials-dir.
func (b Broker) writeCredentials(dir string) error {
	main := filepath.Join(dir, "main")
	if err := os.MkdirAll(main, 0o700); err != nil {
		return fmt.Errorf("write credentials: %w", err)
	}
	for file, text := range map[string]string{"username": b.uri.Username, "password": b.uri.Password} {
		if err := os.WriteFile(filepath.Join(main, file), []byte(text), 0o600); err != nil {
			return fmt.Errorf("write credentials: %w", err)
		}
	}
	return nil
}
