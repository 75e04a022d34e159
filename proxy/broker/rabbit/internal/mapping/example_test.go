package mapping_test

import (
	"fmt"

	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/mapping"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

func ExampleEvent() {
	m := &message.Message{Body: []byte(`{"specversion":"1.0","id":"17","source":"/shop","type":"com.shop.order.placed"}`)}
	m.ContentType = "application/cloudevents+json"
	e, err := mapping.Event(m, "billing")
	fmt.Println(e.ID, e.Source, e.Type, err)
	// Output: 17 /shop com.shop.order.placed <nil>
}
