package publish

import (
	"go.uber.org/goleak"

	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"

	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli/clitest"
)

// warren is the program under test.
var warren = clitest.Program{New}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPublishOneEventByFlags(t *testing.T) {
	t.Parallel()
	fake := &clitest.Sidecar{}
	address := clitest.Serve(t, fake.Register)
	args := []string{
		"publish", "orders", "--type", "canary", "--source", "/checkout", "--id", "o-17", "--subject", "order-17",
		"--data", `{"total": 42}`, "--attr", "partitionkey=de", "--attr", "time=2026-11-23T10:00:00Z",
		"--header", "tenant=acme", "--header", "note=a=b",
	}
	r := warren.Call(t, clitest.Invocation{Env: map[string]string{"WARREN_SIDECAR": address}}, args...)
	clitest.Golden(t, "publish-one", clitest.Transcript(r, args...))

	e := fake.ByID()["o-17"]
	if e == nil {
		t.Fatal("the event did not arrive")
	}
	if string(e.GetBinaryData()) != `{"total": 42}` || e.GetType() != "canary" || e.GetSource() != "/checkout" {
		t.Errorf("event = %v", e)
	}
	if h := fake.Published[0].GetHeaders(); len(h) != 2 || h["tenant"].GetStringValue() != "acme" || h["note"].GetStringValue() != "a=b" {
		t.Errorf("headers = %v", h)
	}
	attrs := e.GetAttributes()
	if attrs["subject"].GetCeString() != "order-17" || attrs["partitionkey"].GetCeString() != "de" ||
		attrs["datacontenttype"].GetCeString() != "application/json" || attrs["time"].GetCeTimestamp() == nil {
		t.Errorf("attributes = %v", attrs)
	}
}

func TestPublishGuessesTheContentType(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, data string
		args       []string
		want       string
	}{
		{"JSON", `[1]`, nil, "application/json"},
		{"text", `hello`, nil, "text/plain; charset=utf-8"},
		{"bytes", "\xff\x00", nil, "application/octet-stream"},
		{"what the flag says", "{}", []string{"--content-type", "text/x"}, "text/x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fake := &clitest.Sidecar{}
			args := append([]string{
				"publish", "orders", "--sidecar", clitest.Serve(t, fake.Register), "--type", "t", "--source", "/s", "--id", "1",
				"--data-file", "-",
			}, tt.args...)
			if r := warren.Call(t, clitest.Invocation{Stdin: tt.data}, args...); r.Code != cli.ExitOK {
				t.Fatalf("exit %d: %s", r.Code, r.Err)
			}
			e := fake.ByID()["1"]
			if got := e.GetAttributes()["datacontenttype"].GetCeString(); got != tt.want || string(e.GetBinaryData()) != tt.data {
				t.Errorf("content type %q, data %q", got, e.GetBinaryData())
			}
		})
	}
}

func TestPublishGivesEveryEventItsOwnId(t *testing.T) {
	t.Parallel()
	fake := &clitest.Sidecar{}
	address := clitest.Serve(t, fake.Register)
	for range 2 {
		if r := warren.Run(t, "publish", "orders", "--sidecar", address, "--type", "t", "--source", "/s", "-q"); r.Code != cli.ExitOK || r.Err != "" {
			t.Fatalf("exit %d: %s", r.Code, r.Err)
		}
	}
	ids := fake.ByID()
	for id := range ids {
		if len(id) != 36 || id[14] != '4' {
			t.Errorf("id %q is no random UUID", id)
		}
	}
	if len(ids) != 2 {
		t.Errorf("%d ids, want 2", len(ids))
	}
}

func TestPublishReportsProblemsByReasonWithLines(t *testing.T) {
	t.Parallel()
	in := clitest.Line("1", "ok") + clitest.Line("2", "fail.nack") + "broken\n" + clitest.Line("4", "fail.unroutable") + clitest.Line("5", "canary")
	for i := 6; i <= 10; i++ {
		in += clitest.Line(fmt.Sprint(i), "fail.nack")
	}
	address := clitest.Serve(t, (&clitest.Sidecar{}).Register)
	args := []string{"publish", "orders", "-f", "-", "--sidecar", address, "-o", "json"}
	r := warren.Call(t, clitest.Invocation{Stdin: in}, args...)
	clitest.Golden(t, "publish-problems", clitest.Transcript(r, args...))
}

func TestPublishToNobodySaysSoOnce(t *testing.T) {
	t.Parallel()
	args := []string{"publish", "orders", "-f", "-", "--sidecar", clitest.Nobody(t), "--concurrency", "1"}
	r := warren.Call(t, clitest.Invocation{Stdin: clitest.Line("1", "t") + clitest.Line("2", "t")}, args...)
	clitest.Golden(t, "publish-nobody", strings.ReplaceAll(clitest.Transcript(r, args...), "connect: connection refused", "REFUSED"))
}

func TestPublishToAMissingTopicGivesAdvice(t *testing.T) {
	t.Parallel()
	args := []string{"publish", "nope", "--type", "fail.topic", "--source", "/s", "--id", "1", "--sidecar", clitest.Serve(t, (&clitest.Sidecar{}).Register)}
	clitest.Golden(t, "publish-missing-topic", clitest.Transcript(warren.Run(t, args...), args...))
}

func TestPublishRetriesWithTheSameId(t *testing.T) {
	t.Parallel()
	fake := &clitest.Sidecar{}
	r := warren.Call(t, clitest.Invocation{Stdin: clitest.Line("1", "fail.once") + clitest.Line("2", "ok")},
		"publish", "orders", "-f", "-", "--retry", "--sidecar", clitest.Serve(t, fake.Register))
	if r.Code != cli.ExitOK || !strings.Contains(r.Err, "published 2 of 2 events") || !strings.Contains(r.Err, "1 repeated") {
		t.Errorf("exit %d: %s", r.Code, r.Err)
	}
	if fake.Tries["1"] != 2 {
		t.Errorf("%d tries, want 2", fake.Tries["1"])
	}
}

func TestPublishDryRunNeedsNoSidecar(t *testing.T) {
	t.Parallel()
	file := clitest.Write(t, "events.ndjson", clitest.Line("1", "t")+clitest.Line("2", "")+clitest.Line("3", "t"))
	r := warren.Run(t, "publish", "orders", "-f", file, "--dry-run")
	clitest.Golden(t, "publish-dry-run", clitest.Transcript(r, "publish", "orders", "-f", "events.ndjson", "--dry-run"))
}

func TestPublishOverAUnixSocket(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "warren") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s.sock")
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	fake, server := &clitest.Sidecar{}, grpc.NewServer()
	fake.Register(server)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(lis) })
	t.Cleanup(func() { server.Stop(); serving.Wait() })

	r := warren.Run(t, "publish", "orders", "--sidecar", "unix:"+path, "--type", "t", "--source", "/s", "--id", "1")
	if r.Code != cli.ExitOK || fake.ByID()["1"] == nil {
		t.Errorf("exit %d: %s", r.Code, r.Err)
	}
}

func TestPublishSendsTheCorpusByteForByte(t *testing.T) {
	t.Parallel()
	path, payloads := clitest.Corpus(t)
	fake := &clitest.Sidecar{}
	r := warren.Run(t, "publish", "hooks", "-f", path, "--sidecar", clitest.Serve(t, fake.Register))
	if r.Code != cli.ExitOK || !strings.Contains(r.Err, "published 186 of 186 events") {
		t.Fatalf("exit %d: %s", r.Code, r.Err)
	}
	got := fake.ByID()
	for id, want := range payloads {
		if !bytes.Equal(got[id].GetBinaryData(), want) {
			t.Errorf("event %s: data is not byte-identical", id)
		}
	}
}
