package metrics_test

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/metrics"
	"github.com/warrenmesh/warren/tracing/messaging"
)

func ExampleEvents_Send() {
	events, err := metrics.New(noop.NewMeterProvider(), false)
	if err != nil {
		panic(err)
	}
	sending := events.Send(mesh.Name{Namespace: "shop", Name: "orders"}, messaging.SystemRabbitMQ)
	sending.To("127.0.0.1:5672")
	sending.Written()
	sending.Answered(nil) // confirmed
	sending.End(context.Background(), nil)
	fmt.Println("measured")
	// Output: measured
}
