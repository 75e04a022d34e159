package cli

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/peer"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
	"github.com/warrenmesh/warren/xds"
)

func TestAgesAreRoundedDown(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Hour: "0s", 0: "0s", 999 * time.Millisecond: "0s", 59*time.Second + 999*time.Millisecond: "59s", time.Minute: "1m",
		time.Hour - 1: "59m", time.Hour: "1h0m", 3*time.Hour + 5*time.Minute: "3h5m", 24*time.Hour - 1: "23h59m", 24 * time.Hour: "1d0h",
		98*time.Hour + 59*time.Minute: "4d2h", 400 * 24 * time.Hour: "400d0h",
	} {
		if got := Age(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
}

func TestCountsAgreeWithTheirNouns(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"0 objects": Plural(0, "object"), "1 object": Plural(1, "object"), "2 objects": Plural(2, "object"),
		"0 events": Events(0), "1 event": Events(1), "1,000 events": Events(1000), "-": OrDash(""), "x": OrDash("x"),
		"": Labels(nil), "a=1,b=,c=x=y": Labels(map[string]string{"c": "x=y", "a": "1", "b": ""}),
		"0123456789ab": Short("0123456789abcdef"), "short": Short("short"),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestAProblemIsWrittenAsEditorsReadIt(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"a.yaml:3: spec.nodes: is empty": Problem("a.yaml", 3, "spec.nodes", "is empty"),
		"a.yaml: is empty":               Problem("a.yaml", 0, "", "is empty"),
		"a.yaml:3: is empty":             Problem("a.yaml", 3, "", "is empty"),
		"spec.nodes: is empty":           Problem("", 3, "spec.nodes", "is empty"),
		"is empty":                       Problem("", 0, "", "is empty"),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestAnExcerptIsOneLineOfAtMostItsWidth(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		data  string
		width int
		want  string
	}{
		{"", 5, ""},
		{"hello", 5, "hello"},
		{"hello!", 5, "hell…"},
		{"größe", 5, "größe"},
		{"größer", 5, "größ…"},
		{"𝄞𝄞𝄞𝄞", 3, "𝄞𝄞…"},
		{"a\nb\tc\x1b[2J", 20, "a b c [2J"},
		{"\xff\x00", 20, "<2 bytes>"},
		{strings.Repeat("x", 100) + "\xff", 5, "<101 bytes>"},
		{"ab", 1, "…"},
	} {
		if got := Excerpt([]byte(test.data), test.width); got != test.want {
			t.Errorf("%q in %d: %q, want %q", test.data, test.width, got, test.want)
		}
	}
}

func FuzzExcerpt(f *testing.F) {
	f.Add([]byte("größer\n"), uint8(3))
	f.Add([]byte("𝄞𝄞𝄞𝄞𝄞"), uint8(1))
	f.Add([]byte("\xff"), uint8(9))
	f.Fuzz(func(t *testing.T, data []byte, width uint8) {
		n := int(width) + 1
		got := Excerpt(data, n)
		if !utf8.Valid(data) {
			return // counted, however wide that is
		}
		if seen := utf8.RuneCountInString(got); seen > n || seen != min(n, utf8.RuneCount(data)) {
			t.Errorf("%q in %d: %d characters in %q", data, n, seen, got)
		}
		if strings.ContainsFunc(got, func(r rune) bool { return !terminal.IsPrintable(r) }) {
			t.Errorf("%q in %d: %q", data, n, got)
		}
	})
}

func TestResourcesHaveTheNamesThatPeopleUse(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ typeURL, name, kind, short string }{
		{xds.TypeListener, "topic/shop/orders", "Topic", "shop/orders"},
		{xds.TypeListener, "subscription/shop/billing", "Subscription", "shop/billing"},
		{xds.TypeRoute, "topic/shop/orders", "Route", "shop/orders"},
		{xds.TypeCluster, "broker/shop/main", "Broker", "shop/main"},
		{xds.TypeEndpoint, "broker/shop/main", "Nodes", "shop/main"},
		{xds.TypeCluster, "odd", "Broker", "odd"},
		{"type.googleapis.com/a.b.Secret", "x/y", "Secret", "x/y"},
		{"", "x", "", "x"},
	} {
		if kind, short := ResourceKind(test.typeURL, test.name); kind != test.kind || short != test.short {
			t.Errorf("%s %s: %q %q, want %q %q", test.typeURL, test.name, kind, short, test.kind, test.short)
		}
	}
}

// refusing refuses every write.
type refusing struct{}

func (refusing) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestValuesAndMessagesAreWrittenTheSameForScripts(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{JSON: "{\n  \"took\": \"1.500s\",\n  \"clean\": false\n}\n", YAML: "clean: false\ntook: 1.500s\n"} {
		var out strings.Builder
		if err := WriteMessage(&out, format, &adminv1.DrainResponse{Took: durationpb.New(1500 * time.Millisecond)}); err != nil || out.String() != want {
			t.Errorf("%s: %v\n%s", format, err, out.String())
		}
	}
	for format, want := range map[string]string{JSON: "{\n  \"a\": \"\\u001b<&>\"\n}\n", YAML: "a: \"\\e<&>\"\n"} {
		var out strings.Builder
		if err := WriteValue(&out, format, map[string]string{"a": "\x1b<&>"}); err != nil || !strings.Contains(strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(out.String()), want) {
			t.Errorf("%s: %v\n%q, want %q", format, err, out.String(), want)
		}
	}
	for _, err := range []error{
		WriteValue(refusing{}, JSON, 1), WriteValue(refusing{}, YAML, 1), WriteMessage(refusing{}, JSON, &adminv1.DrainResponse{}), WriteValue(refusing{}, JSON, func() {}),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "write output: ") && !strings.HasPrefix(err.Error(), "encode output: ") {
			t.Errorf("a failure is %v", err)
		}
	}
}

func TestAnAddressComesFromTheFlagThenTheVariableThenTheDefault(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		env  string
		want string
	}{
		"default":                    {nil, "", peer.DefaultSidecarAdmin},
		"variable":                   {nil, "unix:/env", "unix:/env"},
		"flag":                       {[]string{"--admin", "flag:1"}, "unix:/env", "flag:1"},
		"the default as a flag wins": {[]string{"--admin", peer.DefaultSidecarAdmin}, "unix:/env", peer.DefaultSidecarAdmin},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &App{Terminal: &terminal.Terminal{Getenv: func(key string) string {
				if key == peer.EnvSidecarAdmin {
					return test.env
				}
				return "other"
			}}}
			cmd := &cobra.Command{}
			a.AddAdminFlag(cmd)
			if err := cmd.ParseFlags(test.args); err != nil {
				t.Fatal(err)
			}
			if got := a.Address(cmd, "admin", peer.EnvSidecarAdmin); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	call := &CallError{Failure: peer.Explain(status.Error(codes.NotFound, "no topic"), true), Op: "publish", What: "sidecar", Address: "a:1"}
	if call.Error() != "publish: NOT_FOUND: no topic" {
		t.Errorf("a failed call is %q", call.Error())
	}
	for name, test := range map[string]struct {
		err     error
		started bool
		code    int
		says    string
	}{
		"nothing wrong":                      {nil, true, ExitOK, ""},
		"a failure that was explained":       {ErrReported, true, ExitFailure, ""},
		"one that is wrapped":                {errors.Join(errors.New("x"), ErrReported), true, ExitFailure, ""},
		"a failed call":                      {call, true, ExitFailure, "warren: publish: NOT_FOUND\n  no topic\n"},
		"a mistake":                          {Usagef("--x: want y"), true, ExitUsage, "warren: --x: want y\n  hint: see warren --help\n"},
		"what cobra says before a command":   {errors.New("unknown flag"), false, ExitUsage, "warren: unknown flag\n  hint: see warren --help\n"},
		"what a command says that has begun": {errors.New("disk on fire"), true, ExitFailure, "warren: disk on fire\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			a := &App{Terminal: &terminal.Terminal{Err: &out, Out: &out, Quiet: true, Getenv: func(string) string { return "" }}, started: test.started}
			if code := a.exit(Root(a), test.err); code != test.code || out.String() != test.says {
				t.Errorf("exit code %d, want %d; says %q, want %q", code, test.code, out.String(), test.says)
			}
		})
	}
}
