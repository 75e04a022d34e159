package layout

import (
	"reflect"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// The arguments are RabbitMQ 4.3's. queueingtest proves what they do, on such a server.
func TestDelayedRetriesAreArgumentsOfTheQueue(t *testing.T) {
	t.Parallel()
	got, err := queueArguments(queueing.Queue{Name: "q", Type: "quorum", RetryDelay: time.Second})
	want := amqp.Table{
		"x-queue-type": "quorum", "x-delivery-limit": deliveryLimit, disconnectedArgument: disconnectedTimeout,
		"x-delayed-retry-type": "returned", "x-delayed-retry-min": int64(1000), "x-delayed-retry-max": int64(1000),
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("arguments are %v, %v; want %v", got, err, want)
	}
}

func TestDelayedRetriesAreDeclaredOnlyWhereTheyHappen(t *testing.T) {
	t.Parallel()
	delaying := queueing.Queue{Name: "q", Type: "quorum", RetryDelay: time.Second}
	classic := delaying
	classic.Type = "classic"
	if err := checkRetries(delaying, "RabbitMQ 4.3.1"); err != nil {
		t.Errorf("on 4.3.1: %v", err)
	}
	if checkRetries(delaying, "RabbitMQ 4.2.0") == nil || checkRetries(classic, "RabbitMQ 4.3.1") == nil {
		t.Error("a queue that would not delay is declared")
	}
	if err := checkRetries(queueing.Queue{Name: "q"}, "RabbitMQ 3.10.8"); err != nil {
		t.Errorf("a queue without delayed retries: %v", err)
	}
}
