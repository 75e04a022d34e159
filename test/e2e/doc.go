// Package e2e tests the built programs end to end: control plane and sidecars as
// processes, a real RabbitMQ, and gRPC clients that use only the generated code.
//
// It owns nothing but tests. They use the broker that AMQP_URL names; `make test` sets
// it. Every test has a namespace, exchanges and queues of its own and deletes them, so
// that the broker may be shared.
//
//	AMQP_URL=amqp://guest:guest@127.0.0.1:5672/ go test -race ./test/e2e
package e2e
