package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/warrenmesh/warren/internal/localbroker"
)

// findBroker takes the first broker it finds, or starts one. none is true when only the
// in-process broker is left.
func (d *demo) findBroker(ctx context.Context) (none bool, err error) {
	if d.options.embedded {
		return true, nil
	}
	search := d.options.broker
	search.Report = func(line string) { d.screen.say("%s", line) }
	broker, err := localbroker.Start(ctx, search)
	if errors.Is(err, localbroker.ErrNone) {
		d.screen.say("broker: none: %v", err)
		return true, nil
	}
	if err != nil {
		return false, err
	}
	d.broker = broker
	return false, nil
}

// amqpAddress is the part of an AMQP URL that the configuration needs.
type amqpAddress struct {
	address, vhost, username, password string
}

// parseAMQP reads amqp://user:password@host:port/vhost. Missing parts have the defaults
// of the AMQP URI specification: guest, guest, 5672 and "/".
func parseAMQP(text string) (amqpAddress, error) {
	u, err := url.Parse(text)
	if err != nil {
		return amqpAddress{}, errors.New("the broker's URL cannot be read") // err contains the password
	}
	if u.Scheme != "amqp" {
		return amqpAddress{}, fmt.Errorf("the broker's URL begins with %q; the demo speaks amqp:// only", u.Scheme)
	}
	port := u.Port()
	if port == "" {
		port = "5672"
	}
	a := amqpAddress{address: net.JoinHostPort(u.Hostname(), port), vhost: "/", username: "guest", password: "guest"}
	if u.User != nil {
		a.username = u.User.Username()
		if password, ok := u.User.Password(); ok {
			a.password = password
		}
	}
	if vhost := strings.TrimPrefix(u.Path, "/"); vhost != "" {
		a.vhost = vhost
	}
	return a, nil
}

// declareBroker writes the broker that was found, or the in-process broker, into the
// configuration.
func (d *demo) declareBroker() error {
	if d.broker == nil {
		memory, err := os.ReadFile(d.files.shop("memory", brokerFile))
		if err != nil {
			return err
		}
		return replaceFile(d.files.config(brokerFile), memory)
	}
	found, err := parseAMQP(d.broker.URL)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(d.files.shop("config", brokerFile))
	if err != nil {
		return err
	}
	declared, err := setBroker(string(text), found.address, found.vhost)
	if err != nil {
		return err
	}
	return errors.Join(
		replaceFile(d.files.config(brokerFile), []byte(declared)),
		d.files.writeCredentials(found.username, found.password),
	)
}

// declarePush writes the port that billing listens on into the configuration.
func (d *demo) declarePush() error {
	_, port, err := net.SplitHostPort(d.addresses.push)
	if err != nil {
		return fmt.Errorf("read billing's address: %w", err)
	}
	text, err := os.ReadFile(d.files.config(pushFile))
	if err != nil {
		return err
	}
	declared, err := setPushPort(string(text), port)
	if err != nil {
		return err
	}
	return replaceFile(d.files.config(pushFile), []byte(declared))
}
