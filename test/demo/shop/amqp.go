package shop

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// AMQPAddress is the part of an AMQP URL that the configuration needs.
type AMQPAddress struct {
	Address, VHost, Username, Password string
}

// ParseAMQP reads amqp://user:password@host:port/vhost. Missing parts have the defaults
// of the AMQP URI specification: guest, guest, 5672 and "/".
func ParseAMQP(text string) (AMQPAddress, error) {
	u, err := url.Parse(text)
	if err != nil {
		return AMQPAddress{}, errors.New("the broker's URL cannot be read") // err contains the password
	}
	if u.Scheme != "amqp" {
		return AMQPAddress{}, fmt.Errorf("the broker's URL begins with %q; the demo speaks amqp:// only", u.Scheme)
	}
	port := u.Port()
	if port == "" {
		port = "5672"
	}
	a := AMQPAddress{Address: net.JoinHostPort(u.Hostname(), port), VHost: "/", Username: "guest", Password: "guest"}
	if u.User != nil {
		a.Username = u.User.Username()
		if password, ok := u.User.Password(); ok {
			a.Password = password
		}
	}
	if vhost := strings.TrimPrefix(u.Path, "/"); vhost != "" {
		a.VHost = vhost
	}
	return a, nil
}
