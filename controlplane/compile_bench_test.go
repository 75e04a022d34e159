package controlplane

import (
	"fmt"
	"strings"
	"testing"

	"github.com/warrenmesh/warren/controlplane/source/file"
	"github.com/warrenmesh/warren/xds/wire"
)

// BenchmarkATopicOfTenThousandRulesChanges is what a change costs that touches
// every rule of a big topic: resolve, encode and prove on the control plane, and
// decode on each sidecar.
func BenchmarkATopicOfTenThousandRulesChanges(b *testing.B) {
	const rules, each = 10_000, 16
	var doc strings.Builder
	doc.WriteString(head + "EventBroker\nmetadata: {name: main, namespace: shop}\nspec: {type: Memory}\n---\n" + sharded(""))
	for i := range rules / each {
		fmt.Fprintf(&doc, "---\n"+head+"EventRoute\nmetadata: {name: r%d, namespace: shop}\nspec:\n  parentRefs: [{kind: EventTopic, name: orders}]\n  rules:\n", i)
		for j := range each {
			fmt.Fprintf(&doc, "  - {name: r%d, filters: [{exact: {type: none.%d.%d}}], backendRefs: [{kind: EventTopic, name: orders}]}\n", j, i, j)
		}
	}
	set, problems := file.Decode(file.File{Name: "rules.yaml", Data: []byte(doc.String())})
	if len(problems) > 0 {
		b.Fatal(problems[0])
	}
	c, problems := compile(set, nil, new(encoder))
	if len(problems) > 0 {
		b.Fatal(problems[0])
	}
	b.Run("compile", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			compile(set, nil, new(encoder))
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for _, r := range c.view.Resources {
				if _, err := wire.Decode(r.TypeURL, r.Any); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
