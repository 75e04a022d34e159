package event

// Outcome is how a service settles a delivery.
type Outcome int

// The outcomes.
const (
	Unsaid     Outcome = iota // no known outcome
	Ack                       // the service is done with the event
	Retry                     // deliver it again later
	DeadLetter                // no retry can help
)
