package publish

import (
	"fmt"
	"strings"
	"testing"

	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli/clitest"
)

func TestAPayloadThatLooksLikeBrokenJSONIsSaidSo(t *testing.T) {
	t.Parallel()
	const said, none = "looks like JSON and is none", ""
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"quotes that the shell took": {[]string{"--data", `{total: 42}`}, said},
		"a cut list":                 {[]string{"--data", ` [1, 2`}, said},
		"JSON":                       {[]string{"--data", `{"total": 42}`}, none},
		"text":                       {[]string{"--data", `hello {you}`}, none},
		"nothing":                    {nil, none},
		"another type":               {[]string{"--data", `{x}`, "--content-type", "text/x-template"}, none},
		"a type that says JSON":      {[]string{"--data", `total`, "--content-type", "application/vnd.x+json"}, "the payload is no JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := warren.Run(t, append([]string{"publish", "orders", "--type", "t", "--source", "/s", "--dry-run"}, tt.args...)...)
			if r.Code != cli.ExitOK || tt.want == none && strings.Contains(r.Err, "JSON") || !strings.Contains(r.Err, tt.want) {
				t.Errorf("%+v, want %q", r, tt.want)
			}
		})
	}
}

func TestAFileKeepsItsOrderUnlessAsked(t *testing.T) {
	t.Parallel()
	var in strings.Builder
	for n := range 200 {
		in.WriteString(clitest.Line(fmt.Sprint(n), "t"))
	}
	fake := &clitest.Sidecar{}
	r := warren.Call(t, clitest.Invocation{Stdin: in.String()}, "publish", "orders", "-f", "-", "--sidecar", clitest.Serve(t, fake.Register))
	if r.Code != cli.ExitOK || len(fake.Published) != 200 {
		t.Fatalf("%+v, %d published", r, len(fake.Published))
	}
	for n, e := range fake.Published {
		if got := e.GetEvent().GetId(); got != fmt.Sprint(n) {
			t.Fatalf("event %s came as number %d", got, n)
		}
	}
}
