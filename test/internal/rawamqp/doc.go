// Package rawamqp is a small AMQP 0-9-1 client for tests. It publishes messages that no
// well-behaved library writes, and reads back every byte of them.
//
// It encodes and decodes by itself. It shares no code with the driver under test or
// with amqp091-go, whose tables cannot hold every type octet. The value of a header
// stays in its wire format, so that a copy can be compared byte by byte. A Conn has one
// channel and is for one goroutine. When the broker refuses something, it closes the
// Conn, and the error contains its code.
//
//	conn, err := rawamqp.Dial(ctx, "amqp://guest:guest@127.0.0.1:5672/vhost")
//	...
//	err = conn.Publish("orders", "some.key", rawamqp.Message{
//		Properties: rawamqp.Properties{AppID: "erp", Headers: []rawamqp.Field{{"deep", rawamqp.DeepArray(40)}}},
//		Body:       []byte("{}"),
//	})
//	messages, err := rawamqp.Take(ctx, url, "orders.billing.dead", rawamqp.Keep)
package rawamqp
