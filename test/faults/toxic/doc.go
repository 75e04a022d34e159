// Package toxic is a proxy between a sidecar and a RabbitMQ node. It disturbs the
// network between them, with toxiproxy in this process.
//
// A Link is one address in front of one node. A disturbance affects the open
// connections and new ones, until Heal. A Link counts the bytes that it passes,
// swallows and cuts, which is the proof that a fault took effect. It is safe for
// concurrent use.
//
//	net := toxic.New()
//	link, err := net.Link(node.Address())
//	...                       // sidecars use link.Addr()
//	link.BlackHole()          // half open: nothing arrives, nothing is closed
//	swallowed := link.Swallowed()
//	link.Heal()
//	link.Close()
package toxic
