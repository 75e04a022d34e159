package mesh

import "fmt"

// FilterOp is a dialect of the CloudEvents Subscriptions API.
type FilterOp int

// The dialects.
const (
	Exact FilterOp = iota + 1
	Prefix
	Suffix
	All
	Any
	Not
)

// String returns the dialect's name.
func (o FilterOp) String() string {
	names := [...]string{"", "exact", "prefix", "suffix", "all", "any", "not"}
	if o >= Exact && int(o) < len(names) {
		return names[o]
	}
	return fmt.Sprintf("FilterOp(%d)", int(o))
}

// Filter is one filter. Exact, Prefix and Suffix compare one attribute's
// canonical string form with a non-empty value, case-sensitively; a missing
// attribute does not match. All and Any hold one or more filters, Not exactly
// one. A declared map of several attributes is an All of single ones.
type Filter struct {
	Op    FilterOp
	Attr  string
	Value string
	Sub   []Filter
}
