package deadletter

import (
	"bytes"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

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
	letter := clitest.Filled(&adminv1.DeadLetter{}, text)
	letter.Time = timestamppb.New(time.Unix(1000, 0))
	letter.FirstFailure = letter.GetTime()
	for _, format := range []string{cli.Table, cli.Wide, cli.JSON} {
		show("dead letter "+format, func(b *bytes.Buffer) error {
			return (&letterPrinter{format: format, out: b, now: time.Unix(2000, 0)}).print(letter)
		})
	}
	return out
}

func TestNoTextOfOthersForgesALine(t *testing.T) {
	t.Parallel()
	clitest.CheckPages(t, pages)
}
