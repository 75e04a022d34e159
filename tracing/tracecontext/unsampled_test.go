package tracecontext

import (
	"context"
	"strings"
	"testing"
)

func TestAPlainTraceParentIsWhatThePropagatorReadsAndWrites(t *testing.T) {
	t.Parallel()
	const trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	good := "00-" + trace + "-" + span + "-00"
	for s, want := range map[string]bool{
		good: true, good[:54] + "1": true, good[:54] + "2": false, good[:53] + "10": false, "01" + good[2:]: false, good + "-x": false, "": false,
		strings.ToUpper(good): false, "00-" + strings.Repeat("0", 32) + "-" + span + "-00": false, "00-" + trace + "-" + strings.Repeat("0", 16) + "-00": false,
		strings.Replace(good, "-b", "_b", 1): false, strings.Replace(good, "b7", "g7", 1): false,
	} {
		sampled, ok := Plain(s)
		if ok != want {
			t.Errorf("%q: %t, want %t", s, ok, want)
		}
		if !ok {
			continue
		}
		sc := Hop{Parent: s}.SpanContext()
		if sc.IsSampled() != sampled || !sc.IsValid() {
			t.Errorf("%q: sampled %t, want %t of a valid one", s, sampled, sc.IsSampled())
		}
		if got := Of(WithParent(context.Background(), sc)); got != (Hop{Parent: s}) {
			t.Errorf("%q is written as %v", s, got)
		}
	}
}
