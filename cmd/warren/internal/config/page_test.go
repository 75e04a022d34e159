package config

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli/clitest"
	"github.com/warrenmesh/warren/xds"
)

func dumped(t *testing.T, wide bool, d *adminv1.GetConfigDumpResponse) string {
	t.Helper()
	var out strings.Builder
	if err := (&dumpPage{wide: wide, now: clitest.Loaded.Add(time.Hour)}).write(&out, d); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTheHeadOfADumpSaysWhatASidecarRunsOn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		dump *adminv1.GetConfigDumpResponse
		want []string
	}{
		"a sidecar that has just started": {
			&adminv1.GetConfigDumpResponse{Node: "n", Namespace: "shop", Workload: "billing", ControlPlane: &adminv1.ControlPlaneContact{Address: "a:1"}},
			[]string{"sidecar n of shop/billing\n", "no configuration is in force\n", "control plane a:1 not connected, never heard\n"},
		},
		"one that is up to date": {
			&adminv1.GetConfigDumpResponse{Version: "0123456789abcdef", AppliedAt: timestamppb.New(clitest.Loaded), ControlPlane: &adminv1.ControlPlaneContact{
				Address: "a:1", Connected: true, LastContact: timestamppb.New(clitest.Loaded.Add(59 * time.Minute)), LastError: "of long ago",
			}},
			[]string{"configuration 0123456789ab in force for 1h0m\n", "control plane a:1 connected, last heard 1m ago\n"},
		},
		"one that runs on what it kept": {
			&adminv1.GetConfigDumpResponse{Version: "v", AppliedAt: timestamppb.New(clitest.Loaded), FromDisk: true, StateFileError: "no space left", ControlPlane: &adminv1.ControlPlaneContact{
				Address: "a:1", LastError: "connection refused",
			}},
			[]string{"in force for 1h0m, from disk\n", "not connected, never heard\n  connection refused\n", "last good configuration: no space left\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page := dumped(t, false, test.dump)
			for _, want := range test.want {
				if !strings.Contains(page, want) {
					t.Errorf("lacks %q:\n%s", want, page)
				}
			}
			if strings.Contains(page, "of long ago") || strings.Contains(page, "TOPIC") {
				t.Errorf("an error that is over, or a table of nothing:\n%s", page)
			}
		})
	}
}

func TestTheStateOfANodeIsAWord(t *testing.T) {
	t.Parallel()
	for want, n := range map[string]*adminv1.BrokerNode{
		"down": {}, "up": {Publishing: true, Consuming: true}, "publishing only": {Publishing: true}, "consuming only": {Consuming: true},
		"blocked": {Blocked: true, Publishing: true, Consuming: true},
	} {
		if got := nodeState(n); got != want {
			t.Errorf("%v is %q, want %q", n, got, want)
		}
	}
}

func TestWhatIsRefusedIsExplainedBelowItsTable(t *testing.T) {
	t.Parallel()
	page := dumped(t, true, &adminv1.GetConfigDumpResponse{
		Brokers: []*adminv1.BrokerConfig{{Name: "shop/main", Type: "Memory", Topology: "Manage", Nodes: []*adminv1.BrokerNode{{Reason: "it is closed"}}}},
		Subscriptions: []*adminv1.SubscriptionConfig{
			{Name: "shop/a", DedupeWindow: durationpb.New(time.Minute), DedupeMaxEntries: 7, Partitions: &adminv1.PartitionsConfig{Count: 2, Key: "k"}, Filters: []string{"a", "b"}},
			{Name: "shop/b"},
		},
		Resources: []*adminv1.ConfigResource{
			{TypeUrl: xds.TypeRoute, Name: "topic/shop/orders", State: "NACKED", RejectedVersion: "0123456789abcdef", Error: "regex"},
			{TypeUrl: xds.TypeCluster, Name: "broker/shop/main", State: "DOES_NOT_EXIST", Error: "nobody declares it"},
			{TypeUrl: xds.TypeListener, Name: "topic/shop/orders", State: "ACKED"},
		},
	})
	for _, want := range []string{
		"shop/main  Memory  -     down   -       -      -            Manage\n", "shop/main  cannot be used\n  it is closed\n",
		"1m0s, 7 events", "2 by k", "a and b\n",
		"Route shop/orders: refused version 0123456789ab\n  regex\n", "Broker shop/main: is DOES_NOT_EXIST\n  nobody declares it\n",
		"Topic     shop/orders  ACKED           -\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("lacks %q:\n%s", want, page)
		}
	}
}

// refusing refuses every write.
type refusing struct{}

func (refusing) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestWhatCannotBeWrittenIsAFailure(t *testing.T) {
	t.Parallel()
	admin := clitest.Serve(t, (&clitest.Admin{Dumped: clitest.Dump()}).Register)
	good := clitest.ConfigDir(t, map[string]string{"broker.yaml": clitest.BrokerYAML, "flow.yaml": clitest.FlowYAML})
	bad := clitest.ConfigDir(t, map[string]string{"broker.yaml": clitest.BrokerYAML, "flow.yaml": clitest.BrokenYAML})
	for _, args := range [][]string{
		{"dump", "--admin", admin}, {"dump", "-o", "json", "--admin", admin}, {"validate", good}, {"validate", good, "-o", "yaml"}, {"validate", bad}, {"validate", bad, "-o", "json"},
		{"explain-field"}, {"explain-field", "-o", "json"}, {"explain-field", "topic"}, {"explain-field", "topic", "-r"}, {"explain-field", "topic", "-o", "yaml"}, {"schema", "EventTopic"},
	} {
		r := warren.Call(t, clitest.Invocation{Out: refusing{}}, append([]string{"config"}, args...)...)
		if r.Code != cli.ExitFailure || !strings.Contains(r.Err, "broken pipe") {
			t.Errorf("config %q: %+v", args, r)
		}
	}
}

func TestProseIsBrokenAtWordsAndHangs(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("größer ", 40)
	text := hanging(long, "  Range: ", "         ")
	if strings.Join(strings.Fields(text), " ") != "Range: "+strings.TrimSpace(long) {
		t.Errorf("the words have changed:\n%s", text)
	}
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if n := utf8.RuneCountInString(line); n > textWidth || i > 0 && !strings.HasPrefix(line, "         größer") {
			t.Errorf("line %d has %d columns: %q", i, n, line)
		}
	}
	word := strings.Repeat("x", 100)
	for in, want := range map[string]string{"": "  \n", "a": "  a\n", "a \n\t b": "  a b\n", word: "  " + word + "\n", "a " + word + " b": "  a\n  " + word + "\n  b\n"} {
		if got := wrap(in, "  "); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"": "", "abc": "abc", "abcd": "abcd", "abcde": "abc…", "größer": "grö…", "ab, de": "ab…"} {
		if got := cut(in, 4); got != want {
			t.Errorf("%q cut to 4: %q, want %q", in, got, want)
		}
	}
}
