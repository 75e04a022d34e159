package config

import (
	"bytes"
	"testing"
	"time"

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
	dump := clitest.Filled(&adminv1.GetConfigDumpResponse{}, text)
	for _, format := range []string{cli.Table, cli.Wide} {
		show("dump "+format, func(b *bytes.Buffer) error {
			return (&dumpPage{wide: format == cli.Wide, now: time.Unix(2000, 0)}).write(b, dump)
		})
	}
	return out
}

func TestNoTextOfOthersForgesALine(t *testing.T) {
	t.Parallel()
	clitest.CheckPages(t, pages)
}
