package wire

import "strings"

// Rejection is one resource a sidecar refused.
type Rejection struct {
	Resource string // its xDS name
	Error    string // one line
}

// FormatRejections is the text of a NACK's error_detail.message: one line
// "<resource name>: <error>" for each rejected resource. What a response held and
// the text does not name was applied (gRFC A46).
func FormatRejections(rs []Rejection) string {
	lines := make([]string, len(rs))
	for i, r := range rs {
		lines[i] = r.Resource + ": " + oneLine(r.Error)
	}
	return strings.Join(lines, "\n")
}

// ParseRejections is the inverse of FormatRejections. Lines of another form are
// skipped: other clients may write anything.
func ParseRejections(text string) []Rejection {
	var out []Rejection
	for line := range strings.SplitSeq(text, "\n") {
		name, reason, found := strings.Cut(line, ": ")
		if found && name != "" {
			out = append(out, Rejection{Resource: name, Error: reason})
		}
	}
	return out
}

func oneLine(s string) string { return strings.Join(strings.FieldsFunc(s, isNewline), "; ") }

func isNewline(r rune) bool { return r == '\n' || r == '\r' }
