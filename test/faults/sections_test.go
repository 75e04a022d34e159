package faults

import (
	"strings"
	"testing"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/rig"
)

func TestThePageKeepsTheSectionsOfOtherVersions(t *testing.T) {
	t.Parallel()
	report := check.Check(&history.Run{Scenario: "made"}, check.Expect{})
	page := func(version, name string) *Page {
		return &Page{
			Results: []*Result{{Scenario: rig.Scenario{Row: 1, Name: name, Fault: "a fault"}, Report: report}},
			Command: "make faults", Facts: Facts{RabbitMQ: version},
		}
	}
	text := page("3.10.8", "old").Markdown("# A page of the time before sections\n\n## What was injected\n\n- **1 ancient**: gone.\n")
	text = page("4.3.6", "first").Markdown(text)
	text = page("10.0.0", "newest").Markdown(text)
	text = page("4.3.7", "second").Markdown(text)
	var places []int
	for _, want := range []string{"# The fault matrix", "\n## RabbitMQ 10.0.0\n", "**1 newest**", "\n## RabbitMQ 4.3.7\n", "**1 second**", "\n## RabbitMQ 3.10.8\n", "**1 old**", "\n## Rows without a scenario\n"} {
		if strings.Count(text, want) != 1 {
			t.Fatalf("%q is %d times on the page, want once:\n%s", want, strings.Count(text, want), text)
		}
		places = append(places, strings.Index(text, want))
	}
	for i := range places[1:] {
		if places[i] > places[i+1] {
			t.Fatalf("the parts are not in order:\n%s", text)
		}
	}
	for _, gone := range []string{"4.3.6", "**1 first**", "ancient"} {
		if strings.Contains(text, gone) {
			t.Errorf("the page still has %q:\n%s", gone, text)
		}
	}
	if again := page("4.3.7", "second").Markdown(text); again != text {
		t.Errorf("written again the page differs:\n%s", again)
	}
}
