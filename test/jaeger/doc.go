// Package jaeger tests what a user of Jaeger sees of Warren, with a real Jaeger.
//
// One test runs the built product with the shop of examples on the RabbitMQ of
// AMQP_URL, one changes a configuration on the in-process broker, and one uses the
// tracing package alone.
//
// It owns nothing but tests. It has the build tag jaeger, because a machine without
// Jaeger must build one first, once, in about three minutes. `make test-jaeger` runs
// the tests; hack/jaeger/jaeger.sh says where its Jaeger comes from.
//
//	go test -tags jaeger ./test/jaeger
package jaeger
