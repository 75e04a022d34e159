package docs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// notRun are all blocks that are neither run nor compiled: how many each page has. A
// block that is added here needs a reason that holds: what it shows cannot be had in
// a test, or is met by another one, which its mark names.
var notRun = map[string]int{
	"README.md":                   1, // the demo, which test/demo runs
	"docs/existing-topologies.md": 1, // an error's message
	"docs/getting-started.md":     2, // Jaeger, the demo's trace
	"docs/metrics.md":             2, // the configuration of others
	"docs/rabbitmq.md":            2, // messages as a plain client sees them
	"docs/tracing.md":             2, // Jaeger, a tree of spans
	"docs/troubleshooting.md":     2, // messages of errors
	"docs/upgrading.md":           1, // an error's message
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
