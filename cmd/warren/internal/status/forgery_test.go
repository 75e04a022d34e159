package status

import (
	"bytes"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
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
	state := clitest.Filled(&adminv1.GetStatusResponse{}, text)
	state.Objects[0].Conditions = append(state.Objects[0].Conditions,
		&adminv1.Condition{Type: "Accepted", Status: "False", Reason: text, Message: text}, &adminv1.Condition{Type: "Accepted", Status: "True", Message: text})
	state.Sidecars = append(state.Sidecars, proto.CloneOf(state.Sidecars[0]))
	state.Sidecars[0].Resources[0].State = "NACKED"
	show("status json", func(b *bytes.Buffer) error { return cli.WriteMessage(b, cli.JSON, state) })
	for _, format := range []string{cli.Table, cli.Wide} {
		wide := format == cli.Wide
		show("status "+format, func(b *bytes.Buffer) error { return (&statusPage{wide: wide, now: time.Unix(2000, 0)}).write(b, state) })
		show("sidecars "+format, func(b *bytes.Buffer) error {
			return (&statusPage{wide: wide, now: time.Unix(2000, 0)}).writeSidecars(b, state.GetSidecars())
		})
	}
	return out
}

func TestNoTextOfOthersForgesALine(t *testing.T) {
	t.Parallel()
	clitest.CheckPages(t, pages)
}
