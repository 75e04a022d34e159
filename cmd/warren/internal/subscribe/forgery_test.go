package subscribe

import (
	"bytes"
	"strings"
	"testing"
	"unicode"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli/clitest"
)

// pages are all that is made of others' messages, by name, with every text being text.
func pages(t *testing.T, text string) map[string]string {
	t.Helper()
	out := map[string]string{}
	show := func(name string, write func(*bytes.Buffer) error) {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		out[name] = b.String()
	}
	for _, format := range []string{cli.Table, cli.Wide, cli.JSON} {
		show("delivery "+format, func(b *bytes.Buffer) error {
			return (&deliveryPrinter{format: format, out: b}).print(delivery(text))
		})
	}
	return out
}

// delivery has text wherever an event may have it: control characters are refused in
// attributes, what turns the direction of writing is not.
func delivery(text string) *eventsv1.Delivery {
	attribute := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, text)
	return &eventsv1.Delivery{Topic: text, Event: &eventsv1.CloudEvent{
		Id: attribute, Source: "/s", Type: attribute, SpecVersion: "1.0", Data: &eventsv1.CloudEvent_TextData{TextData: text},
		Attributes: map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{"subject": {Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: attribute}}},
	}}
}

func TestNoTextOfOthersForgesALine(t *testing.T) {
	t.Parallel()
	clitest.CheckPages(t, pages)
}
