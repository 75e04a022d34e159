package event

// Outcome is what a service says of an event that it was handed.
type Outcome int

// The outcomes.
const (
	Unsaid     Outcome = iota // it said nothing that is known
	Ack                       // it is done with the event
	Retry                     // it wants it again, later
	DeadLetter                // nobody can handle it
)
