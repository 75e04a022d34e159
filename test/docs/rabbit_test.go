package docs

import (
	"crypto/rand"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
)

// rabbit is the RabbitMQ of AMQP_URL, which replaces the one of the pages. Its
// exchanges and queues belong to one session.
type rabbit struct {
	uri    amqp.URI
	prefix string
}

// findRabbit fails the test when there is none: `make test` always provides one.
func findRabbit(t *testing.T) *rabbit {
	t.Helper()
	url := os.Getenv("AMQP_URL")
	if url == "" {
		t.Fatal("AMQP_URL is not set: run `make test PACKAGES=./test/docs`, which sets it")
	}
	uri, err := amqp.ParseURI(url)
	if err != nil {
		t.Fatal(err)
	}
	r := &rabbit{uri: uri, prefix: "docs-" + strings.ToLower(rand.Text()[:10]) + "."}
	t.Cleanup(func() { r.clean(t, url) })
	return r
}

var (
	topicObject        = regexp.MustCompile(`(?m)^kind: EventTopic\nmetadata: \{name: ([a-z-]+),.*\nspec:\n`)
	subscriptionObject = regexp.MustCompile(`(?m)^kind: EventSubscription\nmetadata: \{name: ([a-z-]+),.*\nspec:\n(?:  .*\n)*?  queue: \{`)
)

// declare gives the exchanges and queues of declared objects the session's names.
func (r *rabbit) declare(text string) string {
	text = strings.ReplaceAll(text, "127.0.0.1:5672", fmt.Sprintf("%s:%d", r.uri.Host, r.uri.Port))
	text = strings.ReplaceAll(text, "vhost: /\n", fmt.Sprintf("vhost: %q\n", r.uri.Vhost))
	text = topicObject.ReplaceAllString(text, "${0}  exchange: {name: "+r.prefix+"$1}\n")
	return subscriptionObject.ReplaceAllString(text, "${0}name: "+r.prefix+"$1, ")
}

// account replaces RabbitMQ's default account in a command with the account of the
// broker.
func (r *rabbit) account(line string) string {
	if strings.HasSuffix(line, "/username") {
		return strings.ReplaceAll(line, "guest", r.uri.Username)
	}
	return strings.ReplaceAll(line, "guest", r.uri.Password)
}

// clean deletes the topology that the shop's sidecars declared.
func (r *rabbit) clean(t *testing.T, url string) {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Errorf("clean the broker: %v", err)
		return
	}
	defer func() { _ = conn.Close() }()
	channel, err := conn.Channel()
	if err != nil {
		t.Errorf("clean the broker: %v", err)
		return
	}
	for _, subscription := range []string{"shipping", "shipping-next"} {
		queue := r.prefix + subscription
		for _, name := range []string{"", ".dead", ".retry.200ms", ".retry.400ms", ".retry.800ms", ".retry.1600ms", ".retry.3200ms", ".retry.5000ms"} {
			if _, err := channel.QueueDelete(queue+name, false, false, false); err != nil {
				t.Errorf("delete queue %s: %v", queue+name, err)
				return
			}
		}
	}
	for _, topic := range []string{"orders", "orders-next", "invoices"} {
		if err := channel.ExchangeDelete(r.prefix+topic, false, false); err != nil {
			t.Errorf("delete exchange %s: %v", r.prefix+topic, err)
			return
		}
	}
}
