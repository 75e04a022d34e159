package mesh

// Capabilities says what a broker type can do. The control plane refuses a
// configuration that asks for more; internal/queueingtest proves that each driver
// does what its type claims.
type Capabilities struct {
	Durable     bool // events survive a restart of the broker
	Priorities  bool // AMQP message priority is kept
	Expiration  bool // publish.ttl is honoured
	Networked   bool // processes share it through nodes
	QuorumQueue bool // queues of type quorum
	Headers     bool // exchanges of type headers
	Partitions  bool // partitioners, and queues with a single active consumer
	Delays      bool // queues that make retries wait, where the server's version has them
}

// Capabilities returns what brokers of type t can do.
func (t BrokerType) Capabilities() Capabilities {
	switch t {
	case RabbitMQ:
		return Capabilities{
			Durable: true, Priorities: true, Expiration: true, Networked: true, QuorumQueue: true, Headers: true,
			Partitions: true, Delays: true,
		}
	case Memory:
		return Capabilities{Partitions: true, Delays: true}
	default:
		return Capabilities{}
	}
}
