// Package localbroker finds a RabbitMQ on this machine, or starts one.
//
// It owns the order in which the demo and the tests look for a broker, and the
// life of what it starts: a private RabbitMQ node, or a container. It never
// touches a node, an epmd or a container it did not start itself, reads no
// environment (the caller passes what was given), and knows of AMQP only the
// handshake. A Broker's methods are safe for concurrent use. Unix only.
//
//	b, err := localbroker.Start(ctx, localbroker.Options{
//		URL: amqpURL, Dir: ".run/rabbitmq", Report: printLine,
//	})
//	if errors.Is(err, localbroker.ErrNone) { ... } // err says why, step by step
//	g.Go(func() error { return b.Supervise(ctx) })
//	...
//	err = b.Stop(context.WithoutCancel(ctx))
//
// StartCluster starts several private nodes that are one RabbitMQ, for who wants to
// break them one by one.
//
// Options, steps and what is found are in localbroker.go, the life of a broker in
// broker.go; node.go, cluster.go and container.go are what can be started, dir.go and
// process.go what they need of the system, probe.go the handshake. Room install, which
// only this package imports, finds and fetches the files of a RabbitMQ. Of Warren the
// package imports nothing else.
//
// # A private node
//
//	caller ──pipe──▶ guard (sh, a process group of its own)
//	                  ├── epmd, in the foreground, on a port of its own
//	                  ├── rabbitmq-server ── beam ── its helpers
//	                  └── watch: reads the pipe; when it ends, kills the group
//
// The pipe ends when the caller stops the node, and when the caller dies in any
// way, kill -9 included: nothing is left behind. Every process of the node listens
// on loopback only. Ports are chosen below the ephemeral range, so that a client
// that redials a dead broker can never connect to itself and take its port.
package localbroker
