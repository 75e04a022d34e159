package publish

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli/clitest"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

func TestPublishTakesWhatAnEventMayHave(t *testing.T) {
	t.Parallel()
	fake := &clitest.Sidecar{}
	address := clitest.Serve(t, fake.Register)
	file := clitest.Write(t, "payload", "\xff\x00bytes")
	for id, args := range map[string][]string{
		"empty data":          {"--data", ""},
		"no data":             nil,
		"bytes of a file":     {"--data-file", file},
		"größe \u2028":        {"--subject", "ä b", "--source", "urn:x?y#z"},
		"several attributes":  {"--attr", "partitionkey=de", "--attr", "sequence=007", "--attr", "note=a=b"},
		"an attribute twice":  {"--attr", "note=first", "--attr", "note=second"},
		"a header twice":      {"--header", "tenant=first", "--header", "tenant=second"},
		"an empty header":     {"--header", "tenant="},
		"an empty payload":    {"--data-file", os.DevNull},
		"JSON that is a text": {"--data", `"x"`},
	} {
		args = append([]string{"publish", "orders", "--sidecar", address, "--type", "t", "--source", "/s", "--id", id}, args...)
		if r := warren.Run(t, args...); r.Code != cli.ExitOK || r.Out != "" {
			t.Errorf("%s: %+v", id, r)
		}
	}
	got := fake.ByID()
	for id, want := range map[string]string{
		"empty data": "text/plain; charset=utf-8", "no data": "", "bytes of a file": "application/octet-stream", "an empty payload": "text/plain; charset=utf-8", "JSON that is a text": "application/json",
	} {
		if text := got[id].GetAttributes()["datacontenttype"].GetCeString(); text != want {
			t.Errorf("%s: content type %q, want %q", id, text, want)
		}
	}
	if string(got["bytes of a file"].GetBinaryData()) != "\xff\x00bytes" || len(got["no data"].GetBinaryData()) != 0 {
		t.Errorf("data %q and %q", got["bytes of a file"].GetBinaryData(), got["no data"].GetBinaryData())
	}
	if a := got["several attributes"].GetAttributes(); a["sequence"].GetCeString() != "007" || a["note"].GetCeString() != "a=b" || a["partitionkey"].GetCeString() != "de" {
		t.Errorf("attributes %v", a)
	}
	if e := got["größe \u2028"]; e.GetSource() != "urn:x?y#z" || e.GetAttributes()["subject"].GetCeString() != "ä b" {
		t.Errorf("event %v", e)
	}
	if text := got["an attribute twice"].GetAttributes()["note"].GetCeString(); text != "second" {
		t.Errorf("an attribute that is given twice is %q, want the last", text)
	}
}

// A mistake in one event of a file is found before or while others are published; the
// exit code tells that not all were.
func TestPublishEndsWith1WhenOneOfManyIsNoEvent(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		in        string
		confirmed int
		says      string
	}{
		"no event at all":            {"", 0, "published 0 of 0 events"},
		"one that is no JSON":        {clitest.Line("1", "t") + "hello\n", 1, "line 2: not JSON"},
		"one without a type":         {clitest.Line("1", "t") + clitest.Line("2", ""), 1, `line 2: attribute "type": must not be empty`},
		"an array that does not end": {"[" + clitest.Line("1", "t"), 1, "the array does not end; want ]"},
		"an array":                   {"[" + clitest.Line("1", "t") + "," + clitest.Line("2", "t") + "]", 2, "published 2 of 2 events"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := &clitest.Sidecar{}
			r := warren.Call(t, clitest.Invocation{Stdin: test.in}, "publish", "orders", "-f", "-", "--sidecar", clitest.Serve(t, fake.Register))
			whole := strings.HasPrefix(test.says, "published")
			if (r.Code == cli.ExitOK) != whole || r.Code == cli.ExitUsage || len(fake.ByID()) != test.confirmed {
				t.Errorf("exit %d, %d confirmed:\n%s", r.Code, len(fake.ByID()), r.Err)
			}
			if !strings.Contains(r.Err, test.says) {
				t.Errorf("does not say %q:\n%s", test.says, r.Err)
			}
		})
	}
}

func TestPublishWithTheSidecarInAVariableAndTheFlagFirst(t *testing.T) {
	t.Parallel()
	fake, other := &clitest.Sidecar{}, &clitest.Sidecar{}
	env := map[string]string{"WARREN_SIDECAR": clitest.Serve(t, other.Register)}
	r := warren.Call(t, clitest.Invocation{Env: env}, "publish", "orders", "--type", "t", "--source", "/s", "--sidecar", clitest.Serve(t, fake.Register))
	if r.Code != cli.ExitOK || len(fake.ByID()) != 1 || len(other.ByID()) != 0 {
		t.Errorf("%+v: %d by the flag, %d by the variable", r, len(fake.ByID()), len(other.ByID()))
	}
}

// refusing refuses every write.
type refusing struct{}

func (refusing) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestAResultThatCannotBeWrittenIsAFailure(t *testing.T) {
	t.Parallel()
	fake := &clitest.Sidecar{}
	r := warren.Call(t, clitest.Invocation{Out: refusing{}}, "publish", "orders", "--type", "t", "--source", "/s", "-o", "json", "--sidecar", clitest.Serve(t, fake.Register))
	if r.Code != cli.ExitFailure || !strings.Contains(r.Err, "write output: broken pipe") || len(fake.ByID()) != 1 {
		t.Errorf("%+v, %d published", r, len(fake.ByID()))
	}
}

func TestHowMuchOfTheInputIsRead(t *testing.T) {
	t.Parallel()
	if got := (&input{read: new(atomic.Int64)}).part(); got >= 0 {
		t.Errorf("of an input without a size %v is read, want that it is not known", got)
	}
	path := filepath.Join(t.TempDir(), "events")
	if err := os.WriteFile(path, []byte(clitest.Line("1", "t")+clitest.Line("2", "t")), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := openFile(&cli.App{Terminal: &terminal.Terminal{}}, path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.close()
	if got := in.part(); got != 0 {
		t.Errorf("%v is read before the first event", got)
	}
	for range 2 {
		if rec, err := in.Next(); err != nil || rec.Err != nil {
			t.Fatalf("%+v, %v", rec, err)
		}
	}
	if got := in.part(); got != 1 {
		t.Errorf("%v is read after the last event, want all", got)
	}
}
