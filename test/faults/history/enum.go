package history

import "fmt"

// Result is the answer to a publish call.
type Result uint8

// The results. The zero value is a call that never returned.
const (
	Unanswered Result = iota
	OK                // confirmed
	Unknown           // the event may have been written
	Failed            // the event was certainly not written
)

var resultNames = [...]string{"unanswered", "ok", "unknown", "failed"}

// String returns the result's name.
func (r Result) String() string { return name(resultNames[:], r) }

// MarshalText writes the name.
func (r Result) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a name. It returns an error for any other text.
func (r *Result) UnmarshalText(text []byte) error { return parse(resultNames[:], text, r) }

// Outcome is what a service decided about a delivery.
type Outcome uint8

// The outcomes. The zero value means that the service gave none: it hung, died, or lost
// its stream before.
const (
	None Outcome = iota
	Ack
	Retry
	Dead // dead-letter
)

var outcomeNames = [...]string{"none", "ack", "retry", "dead-letter"}

// String returns the outcome's name.
func (o Outcome) String() string { return name(outcomeNames[:], o) }

// MarshalText writes the name.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads a name; another text is an error.
func (o *Outcome) UnmarshalText(text []byte) error { return parse(outcomeNames[:], text, o) }

func name[E ~uint8](names []string, e E) string {
	if int(e) < len(names) {
		return names[e]
	}
	return fmt.Sprintf("%d", uint8(e))
}

func parse[E ~uint8](names []string, text []byte, into *E) error {
	for i, n := range names {
		if n == string(text) {
			*into = E(i)
			return nil
		}
	}
	return fmt.Errorf("%q is none of %q", text, names)
}
