package history

import "fmt"

// Result is what a publish call was answered.
type Result uint8

// The results. The zero value is a call that never returned.
const (
	Unanswered Result = iota
	OK                // confirmed
	Unknown           // may or may not have been written
	Failed            // for certain not written
)

var resultNames = [...]string{"unanswered", "ok", "unknown", "failed"}

// String returns the result's name.
func (r Result) String() string { return name(resultNames[:], r) }

// MarshalText writes the name.
func (r Result) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a name; another text is an error.
func (r *Result) UnmarshalText(text []byte) error { return parse(resultNames[:], text, r) }

// Outcome is what a service said to a delivery.
type Outcome uint8

// The outcomes. The zero value is a service that said nothing, because it hung,
// died, or lost its stream first.
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
