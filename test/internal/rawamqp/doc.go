// Package rawamqp is a small AMQP 0-9-1 client for tests that publish what no
// well-behaved library writes, and read back every byte of it.
//
// It owns encoding and decoding by itself: it shares no code with the driver under
// test, nor with amqp091-go, whose tables cannot hold every type octet. A header's
// value is kept as it is on the wire, so that a copy can be compared byte by byte.
// A Conn has one channel and is for one goroutine; what the broker refuses closes it,
// and the error says with which code.
//
//	conn, err := rawamqp.Dial(ctx, "amqp://guest:guest@127.0.0.1:5672/vhost")
//	...
//	err = conn.Publish("orders", "some.key", rawamqp.Message{
//		Properties: rawamqp.Properties{AppID: "erp", Headers: []rawamqp.Field{{"deep", rawamqp.DeepArray(40)}}},
//		Body:       []byte("{}"),
//	})
//	messages, err := rawamqp.Take(ctx, url, "orders.billing.dead", rawamqp.Keep)
package rawamqp
