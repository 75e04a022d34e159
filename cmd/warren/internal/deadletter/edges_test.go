package deadletter

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli/clitest"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

func TestAKeyThatIsNamedTwiceIsReleasedOnce(t *testing.T) {
	t.Parallel()
	fake := &fakeLetters{}
	r := warren.Run(t, "deadletter", "release", "billing", "customer-17", "customer-17", "--admin", clitest.Serve(t, fake.register))
	req, _ := fake.last().(*adminv1.ReleaseHeldKeysRequest)
	if r.Code != cli.ExitOK || !strings.Contains(r.Err, "1 key released") || !slices.Equal(req.GetKeys(), []string{"customer-17"}) || req.GetAll() {
		t.Errorf("%+v, asked for %v", r, req)
	}
}

// A key is any text: an attribute's value, which may look like a flag or be empty.
func TestAKeyMayBeAnyText(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", " ", "--all", "-n", "größe", "a,b", "a\nb"} {
		fake := &fakeLetters{}
		r := warren.Run(t, "deadletter", "release", "--admin", clitest.Serve(t, fake.register), "--", "billing", key)
		req, _ := fake.last().(*adminv1.ReleaseHeldKeysRequest)
		if r.Code != cli.ExitOK || !slices.Equal(req.GetKeys(), []string{key}) || req.GetAll() {
			t.Errorf("%q: %+v, asked for %v", key, r, req)
		}
	}
}

func TestTimesOfDeadLetters(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2026-11-23T10:00:00Z":      time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC),
		"2026-11-23T10:00:00.5Z":    time.Date(2026, 11, 23, 10, 0, 0, 5e8, time.UTC),
		"2026-11-23T12:00:00+02:00": time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC),
		"0s":                        now,
		"90m":                       now.Add(-90 * time.Minute),
		"1h30m":                     now.Add(-90 * time.Minute),
		"0d":                        now,
		"1d":                        now.Add(-24 * time.Hour),
		"65535d":                    now.Add(-65535 * 24 * time.Hour),
	} {
		got, err := moment("since", text, now)
		if err != nil || !got.AsTime().Equal(want) {
			t.Errorf("%s is %v, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"2026-11-23", "2026-11-23 10:00:00", "2026-13-01T00:00:00Z", "yesterday", "7", "d", "1w", "+1d", " 1h", "65536d", "-1s"} {
		if got, err := moment("until", text, now); err == nil || !strings.Contains(err.Error(), `--until "`+text+`": want a time such as`) {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
	for _, span := range [][2]string{{"1h", "1h"}, {"1h", "2h"}, {"2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z"}} {
		if _, err := (&letterFlags{since: span[0], until: span[1]}).filter(now); err == nil || !strings.Contains(err.Error(), "no dead letter can be in between") {
			t.Errorf("since %s until %s: %v", span[0], span[1], err)
		}
	}
	if f, err := (&letterFlags{since: "2h", until: "1h"}).filter(now); err != nil || f.GetUntil().AsTime().Sub(f.GetSince().AsTime()) != time.Hour {
		t.Errorf("since 2h until 1h: %v, %v", f, err)
	}
}

// refusing refuses every write.
type refusing struct{}

func (refusing) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestWhatCannotBeWrittenIsAFailure(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"list", "billing"}, {"list", "billing", "-o", "wide"}, {"list", "billing", "-o", "json"}, {"list", "billing", "-o", "yaml"},
		{"show", "billing", "order-17"}, {"show", "billing", "order-17", "-o", "raw"}, {"held", "billing"}, {"held", "billing", "-o", "json"},
		{"redrive", "billing", "-o", "json"}, {"purge", "billing", "--yes", "-o", "yaml"},
	} {
		fake := &fakeLetters{letters: buried(), reports: listed()}
		r := warren.Call(t, clitest.Invocation{Out: refusing{}}, slices.Concat([]string{"deadletter"}, args, []string{"--admin", clitest.Serve(t, fake.register)})...)
		if r.Code != cli.ExitFailure || !strings.Contains(r.Err, "broken pipe") {
			t.Errorf("%q: %+v", args, r)
		}
	}
}

func TestACallAboutDeadLettersThatFailsSaysWhich(t *testing.T) {
	t.Parallel()
	nobody := clitest.Nobody(t)
	for want, args := range map[string][]string{
		"list dead letters of billing: UNAVAILABLE UNREACHABLE":    {"list", "billing"},
		"show dead letter order-17: UNAVAILABLE UNREACHABLE":       {"show", "billing", "order-17"},
		"redrive dead letters of billing: UNAVAILABLE UNREACHABLE": {"redrive", "billing"},
		"purge dead letters of billing: UNAVAILABLE UNREACHABLE":   {"purge", "billing", "--yes"},
		"list held keys of billing: UNAVAILABLE UNREACHABLE":       {"held", "billing"},
		"release billing customer-17: UNAVAILABLE UNREACHABLE":     {"release", "billing", "customer-17"},
	} {
		r := warren.Run(t, slices.Concat([]string{"deadletter"}, args, []string{"--admin", nobody})...)
		if r.Code != cli.ExitFailure || !strings.Contains(r.Err, want) || !strings.Contains(r.Err, "running at "+nobody) || r.Out != "" {
			t.Errorf("%q: %+v", args, r)
		}
	}
	later := status.Error(codes.Internal, "queue went away")
	r := warren.Run(t, "deadletter", "list", "billing", "--admin", clitest.Serve(t, (&fakeLetters{letters: buried(), fails: later}).register))
	if r.Code != cli.ExitFailure || !strings.Contains(r.Out, "order-17") || !strings.Contains(r.Err, "queue went away") {
		t.Errorf("what came before the failure is not shown: %+v", r)
	}
}

func TestAnEmptyQueueOfDeadLettersIsNoFailure(t *testing.T) {
	t.Parallel()
	fake := &fakeLetters{reports: []*adminv1.DeadLetterReport{{Queue: "shop.billing.dead", Complete: true}}}
	r := warren.Run(t, "deadletter", "list", "billing", "--admin", clitest.Serve(t, fake.register))
	if r.Code != cli.ExitOK || r.Out != "" || !strings.Contains(r.Err, "0 of 0 letters in shop.billing.dead listed") || strings.Contains(r.Err, "left alone") {
		t.Errorf("%+v", r)
	}
	r = warren.Run(t, "deadletter", "list", "billing", "-q", "--admin", clitest.Serve(t, fake.register))
	if r.Code != cli.ExitOK || r.Out+r.Err != "" {
		t.Errorf("quiet: %+v", r)
	}
}

func TestEveryLineOfAListIsALetterForScripts(t *testing.T) {
	t.Parallel()
	fake := &fakeLetters{letters: buried(), reports: listed()}
	r := warren.Run(t, "deadletter", "list", "billing", "-o", "json", "--admin", clitest.Serve(t, fake.register))
	var ids []string
	for line := range strings.Lines(r.Out) {
		var l adminv1.DeadLetter
		if err := protojson.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		ids = append(ids, l.GetEventId())
	}
	if want := []string{"order-17", "e369722e-2d57-4416-99ab-55feebff052a", "\x1b[31mred"}; !slices.Equal(ids, want) {
		t.Errorf("ids %q, want %q", ids, want)
	}
	if strings.Contains(r.Out, "\x1b") {
		t.Error("a text of others reaches the terminal as it is")
	}
}

func TestTheProgressOfAJob(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		report *adminv1.DeadLetterReport
		want   terminal.Count
	}{
		{nil, terminal.Count{Part: -1}}, {&adminv1.DeadLetterReport{Read: 3}, terminal.Count{Part: -1}},
		{&adminv1.DeadLetterReport{Total: 8, Read: 2, Done: 1, Failed: 1}, terminal.Count{Done: 1, Failed: 1, Part: 0.25}},
		{&adminv1.DeadLetterReport{Total: 8, Read: 8, Done: 8}, terminal.Count{Done: 8, Part: 1}},
	} {
		if got := countOf(test.report); got != test.want {
			t.Errorf("%v: %+v, want %+v", test.report, got, test.want)
		}
	}
}

func TestOnlyYesIsYes(t *testing.T) {
	t.Parallel()
	for input, agreed := range map[string]bool{"y\n": true, "YES\n": true, " yes \n": true, "y": true, "": false, "n\n": false, "yes please\n": false, "ja\n": false, "\ny\n": false} {
		fake := &fakeLetters{reports: worked(7, 0)}
		r := warren.Call(t, clitest.Invocation{TTY: true, Stdin: input}, "deadletter", "purge", "billing", "--admin", clitest.Serve(t, fake.register))
		req, _ := fake.last().(*adminv1.PurgeDeadLettersRequest)
		if (r.Code == cli.ExitOK) != agreed || req.GetDryRun() == agreed || !strings.Contains(r.Err, "Go on? [y/N]") {
			t.Errorf("%q: %+v, asked for %v", input, r, req)
		}
	}
}
