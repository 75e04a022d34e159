// Package jaeger tests what a user of Jaeger sees of Warren, with a real Jaeger.
//
// One test runs the built product with the shop of examples on a real RabbitMQ, by
// AMQP_URL; the other the tracing package alone.
//
// It owns nothing but tests, and has the build tag jaeger, because a machine
// without Jaeger builds one first: about three minutes, once. `make test-jaeger`
// runs them; hack/jaeger/jaeger.sh says where its Jaeger comes from.
//
//	go test -tags jaeger ./test/jaeger
package jaeger
