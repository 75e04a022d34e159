// Package queueingtest is the conformance suite every queueing.Driver passes.
//
// It owns the behaviours, one subtest each, named as a sentence; they are the
// contract of package queueing in executable form. It does not start brokers: a
// driver's own test describes in a Harness how to get a running driver and how to
// hurt it. The suite runs all behaviours in parallel, on names that are unique in
// each, so it can share a broker with anything else, and many runs can overlap.
//
//	func TestConformance(t *testing.T) {
//		t.Parallel()
//		queueingtest.Run(t, queueingtest.Harness{
//			Name: "rabbit",
//			Caps: mesh.RabbitMQ.Capabilities(),
//			New:  newDriver, // runs until the test ends
//		})
//	}
//
// Run ends with one line, in the test's log and on standard output, with the
// number of behaviours that ran and passed, and the version State.Server ends with:
//
//	queueingtest: rabbit 3.10.8: 60 behaviours
//
// # Drivers on a network
//
// A Proxy between driver and broker gives Interrupt and HoldConfirms at no cost:
// New starts a Proxy per driver and dials its Addr; Interrupt calls Proxy.Cut,
// HoldConfirms calls Proxy.HoldReplies. A driver wrapped with its proxy in one
// struct finds it again by a type assertion:
//
//	type proxied struct {
//		*rabbit.Driver
//		proxy *queueingtest.Proxy
//	}
//
//	Interrupt: func(t *testing.T, d queueing.Driver) { d.(proxied).proxy.Cut() },
//
// Alone must not hurt the broker other tests share. For RabbitMQ it starts a private
// node with internal/localbroker, lets Supervise bring it back, and kills it.
//
// The suite finds the broker the driver's own test was given (for RabbitMQ the
// variable AMQP_URL, which test/withbroker sets); without one that test fails, it
// does not skip. A hook that is nil leaves out the behaviours that need it, with a
// line in the log, and they are not counted.
package queueingtest
