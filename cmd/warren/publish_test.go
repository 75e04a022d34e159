package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	"github.com/warrenmesh/warren/proxy/refusal"
)

// fakeSidecar is an EventService that keeps what it gets. Events fail by their
// type.
type fakeSidecar struct {
	eventsv1.UnimplementedEventServiceServer

	mu        sync.Mutex
	published []*eventsv1.PublishRequest
	tries     map[string]int

	deliveries []*eventsv1.Delivery // what Subscribe hands out
	settled    []*eventsv1.Settlement
	init       *eventsv1.SubscribeInit
}

func (s *fakeSidecar) register(g *grpc.Server) { eventsv1.RegisterEventServiceServer(g, s) }

func (s *fakeSidecar) Publish(_ context.Context, r *eventsv1.PublishRequest) (*eventsv1.PublishResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.GetEvent().GetId()
	if s.tries == nil {
		s.tries = map[string]int{}
	}
	s.tries[id]++
	switch r.GetEvent().GetType() {
	case "fail.nack":
		return nil, rpcerr.From(refusal.FromBroker(&broker.Error{Kind: broker.Nacked, Outcome: broker.Unknown, Op: "publish " + id}))
	case "fail.unroutable":
		return nil, rpcerr.From(&refusal.Error{Class: refusal.Precondition, Reason: refusal.Unroutable, Text: "no queue takes " + id, Outcome: broker.Failed})
	case "fail.topic":
		return nil, rpcerr.From(refusal.Missing(refusal.TopicNotFound, "topic", r.GetTopic(), fmt.Sprintf("topic %q is not declared", r.GetTopic())))
	case "fail.once":
		if s.tries[id] == 1 {
			return nil, rpcerr.From(refusal.Later(refusal.BrokerUnavailable, "no node answers"))
		}
	}
	s.published = append(s.published, r)
	resp := &eventsv1.PublishResponse{EventId: id, Topic: "shop/orders", Attempts: 1}
	if r.GetEvent().GetType() == "canary" {
		resp.Topic, resp.Route = "shop/orders-next", "orders-canary/eu"
	}
	return resp, nil
}

func (s *fakeSidecar) byID() map[string]*eventsv1.CloudEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	events := map[string]*eventsv1.CloudEvent{}
	for _, r := range s.published {
		events[r.GetEvent().GetId()] = r.GetEvent()
	}
	return events
}

func line(id, typ string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/s","type":%q}`+"\n", id, typ)
}

func TestPublishOneEventByFlags(t *testing.T) {
	t.Parallel()
	fake := &fakeSidecar{}
	address := serve(t, fake.register)
	args := []string{
		"publish", "orders", "--type", "canary", "--source", "/checkout", "--id", "o-17", "--subject", "order-17",
		"--data", `{"total": 42}`, "--attr", "partitionkey=de", "--attr", "time=2026-11-23T10:00:00Z",
		"--header", "tenant=acme", "--header", "note=a=b",
	}
	r := invocation{env: map[string]string{"WARREN_SIDECAR": address}}.run(t, args...)
	golden(t, "publish-one", transcript(r, args...))

	e := fake.byID()["o-17"]
	if e == nil {
		t.Fatal("the event did not arrive")
	}
	if string(e.GetBinaryData()) != `{"total": 42}` || e.GetType() != "canary" || e.GetSource() != "/checkout" {
		t.Errorf("event = %v", e)
	}
	if h := fake.published[0].GetHeaders(); len(h) != 2 || h["tenant"].GetStringValue() != "acme" || h["note"].GetStringValue() != "a=b" {
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
			fake := &fakeSidecar{}
			args := append([]string{
				"publish", "orders", "--sidecar", serve(t, fake.register), "--type", "t", "--source", "/s", "--id", "1",
				"--data-file", "-",
			}, tt.args...)
			if r := (invocation{stdin: tt.data}).run(t, args...); r.code != exitOK {
				t.Fatalf("exit %d: %s", r.code, r.err)
			}
			e := fake.byID()["1"]
			if got := e.GetAttributes()["datacontenttype"].GetCeString(); got != tt.want || string(e.GetBinaryData()) != tt.data {
				t.Errorf("content type %q, data %q", got, e.GetBinaryData())
			}
		})
	}
}

func TestPublishGivesEveryEventItsOwnId(t *testing.T) {
	t.Parallel()
	fake := &fakeSidecar{}
	address := serve(t, fake.register)
	for range 2 {
		if r := (invocation{}).run(t, "publish", "orders", "--sidecar", address, "--type", "t", "--source", "/s", "-q"); r.code != exitOK || r.err != "" {
			t.Fatalf("exit %d: %s", r.code, r.err)
		}
	}
	ids := fake.byID()
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
	in := line("1", "ok") + line("2", "fail.nack") + "broken\n" + line("4", "fail.unroutable") + line("5", "canary")
	for i := 6; i <= 10; i++ {
		in += line(fmt.Sprint(i), "fail.nack")
	}
	address := serve(t, (&fakeSidecar{}).register)
	args := []string{"publish", "orders", "-f", "-", "--sidecar", address, "-o", "json"}
	r := invocation{stdin: in}.run(t, args...)
	golden(t, "publish-problems", transcript(r, args...))
}

func TestPublishToNobodySaysSoOnce(t *testing.T) {
	t.Parallel()
	args := []string{"publish", "orders", "-f", "-", "--sidecar", nobody(t), "--concurrency", "1"}
	r := invocation{stdin: line("1", "t") + line("2", "t")}.run(t, args...)
	golden(t, "publish-nobody", strings.ReplaceAll(transcript(r, args...), "connect: connection refused", "REFUSED"))
}

func TestPublishToAMissingTopicGivesAdvice(t *testing.T) {
	t.Parallel()
	args := []string{"publish", "nope", "--type", "fail.topic", "--source", "/s", "--id", "1", "--sidecar", serve(t, (&fakeSidecar{}).register)}
	golden(t, "publish-missing-topic", transcript(invocation{}.run(t, args...), args...))
}

func TestPublishRetriesWithTheSameId(t *testing.T) {
	t.Parallel()
	fake := &fakeSidecar{}
	r := invocation{stdin: line("1", "fail.once") + line("2", "ok")}.run(t,
		"publish", "orders", "-f", "-", "--retry", "--sidecar", serve(t, fake.register))
	if r.code != exitOK || !strings.Contains(r.err, "published 2 of 2 events") || !strings.Contains(r.err, "1 repeated") {
		t.Errorf("exit %d: %s", r.code, r.err)
	}
	if fake.tries["1"] != 2 {
		t.Errorf("%d tries, want 2", fake.tries["1"])
	}
}

func TestPublishDryRunNeedsNoSidecar(t *testing.T) {
	t.Parallel()
	file := write(t, "events.ndjson", line("1", "t")+line("2", "")+line("3", "t"))
	r := invocation{}.run(t, "publish", "orders", "-f", file, "--dry-run")
	golden(t, "publish-dry-run", transcript(r, "publish", "orders", "-f", "events.ndjson", "--dry-run"))
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
	fake, server := &fakeSidecar{}, grpc.NewServer()
	fake.register(server)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(lis) })
	t.Cleanup(func() { server.Stop(); serving.Wait() })

	r := invocation{}.run(t, "publish", "orders", "--sidecar", "unix:"+path, "--type", "t", "--source", "/s", "--id", "1")
	if r.code != exitOK || fake.byID()["1"] == nil {
		t.Errorf("exit %d: %s", r.code, r.err)
	}
}

// corpus returns the path of 186 real webhook events and their payloads by id:
// $WARREN_CORPUS (a file or its directory), else the folder beside the checkout. CI
// names them, so that they cannot be missing there.
func corpus(t *testing.T) (path string, payloads map[string][]byte) {
	t.Helper()
	path = os.Getenv("WARREN_CORPUS")
	named := path != ""
	if !named {
		path = "../../../shared/data"
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, "github-events.ndjson.gz")
	}
	packed, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		t.Skipf("the corpus is not here: neither WARREN_CORPUS nor %s", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	gz, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	payloads = map[string][]byte{}
	lines := bufio.NewScanner(gz)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var source struct {
			ID   string          `json:"id"`
			Data json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(lines.Bytes(), &source); err != nil {
			t.Fatal(err)
		}
		payloads[source.ID] = source.Data
	}
	if err := lines.Err(); err != nil || len(payloads) != 186 {
		t.Fatalf("%d events in the corpus, want 186 (%v)", len(payloads), err)
	}
	return path, payloads
}

func TestPublishSendsTheCorpusByteForByte(t *testing.T) {
	t.Parallel()
	path, payloads := corpus(t)
	fake := &fakeSidecar{}
	r := invocation{}.run(t, "publish", "hooks", "-f", path, "--sidecar", serve(t, fake.register))
	if r.code != exitOK || !strings.Contains(r.err, "published 186 of 186 events") {
		t.Fatalf("exit %d: %s", r.code, r.err)
	}
	got := fake.byID()
	for id, want := range payloads {
		if !bytes.Equal(got[id].GetBinaryData(), want) {
			t.Errorf("event %s: data is not byte-identical", id)
		}
	}
}
