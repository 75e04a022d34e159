// Package queueing is the seam of package broker over brokers that have exchanges and
// queues.
//
// It owns the words of such brokers (Topology, Message, Consumer), how topics and
// subscriptions look there (Layout), and what a broker without retries of its own needs
// done: a copy is confirmed before its original is acknowledged. A Node makes a
// broker.Driver of a Driver; drivers live below: rabbit speaks AMQP, membroker is in
// process. Both pass internal/queueingtest, and their Nodes internal/brokertest, of package
// broker.
//
//	node := queueing.NewNode(rabbit.New(options))
//	go node.Run(ctx)
//	err := node.Ensure(ctx, broker.Object{Subscription: s})
//
//	topic ──▶ exchange ──▶ queue ──▶ Receive          dead-letter queue
//	                         ▲  └──── Settle ──bury──▶ ▲      │
//	                         │           │retry        │      │ ReviveLetter
//	                         └─ waiting room           └──────┘
package queueing
