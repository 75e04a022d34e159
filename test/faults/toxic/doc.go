// Package toxic stands between a sidecar and a RabbitMQ node and makes the network
// between them bad, by toxiproxy in this process.
//
// A Link is one address in front of one node. What it does to the bytes holds for
// the connections that are open and for those that come, until Heal. It counts the
// bytes it passes, swallows and cuts, which is the proof that a fault took hold. A
// Link is safe for concurrent use.
//
//	net := toxic.New()
//	link, err := net.Link(node.Address())
//	...                       // sidecars use link.Addr()
//	link.BlackHole()          // half open: nothing arrives, nothing is closed
//	swallowed := link.Swallowed()
//	link.Heal()
//	link.Close()
package toxic
