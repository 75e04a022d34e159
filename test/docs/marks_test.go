package docs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// notRun is the number of blocks of each page that are neither run nor compiled. A
// block added here needs a good reason: a test cannot have what it shows, or another
// test covers it, which its mark names.
var notRun = map[string]int{
	"README.md":                   1, // the demo, which test/demo runs
	"docs/existing-topologies.md": 1, // the message of an error
	"docs/getting-started.md":     2, // Jaeger, and the trace of the demo
	"docs/metrics.md":             2, // configuration of other programs
	"docs/rabbitmq.md":            2, // messages, as a plain client sees them
	"docs/tracing.md":             2, // Jaeger, and a tree of spans
	"docs/troubleshooting.md":     2, // messages of errors
	"docs/upgrading.md":           1, // the message of an error
}

func TestDocsBlocksThatAreNotRunAreKnown(t *testing.T) {
	t.Parallel()
	found := map[string][]string{}
	total := 0
	for _, page := range mustList(t) {
		if hasOwnTests(page) {
			continue
		}
		_, all := mustRead(t, page)
		total += len(all)
		for _, b := range all {
			if why, ok := b.mark["not run"]; ok {
				found[page] = append(found[page], fmt.Sprintf("  %s: %s", b, why))
				if len(why) < len("printed by x") {
					t.Errorf("%s is not run and does not say why", b)
				}
			}
		}
	}
	marked := 0
	for _, page := range slices.Sorted(maps.Keys(found)) {
		marked += len(found[page])
		t.Logf("not run:\n%s", strings.Join(found[page], "\n"))
		if len(found[page]) != notRun[page] {
			t.Errorf("%s has %d blocks that are not run, want %d", page, len(found[page]), notRun[page])
		}
	}
	for page, n := range notRun {
		if n > 0 && len(found[page]) == 0 {
			t.Errorf("%s has no block that is not run any more: take it off the list", page)
		}
	}
	t.Logf("%d of %d blocks are not run", marked, total)
}
