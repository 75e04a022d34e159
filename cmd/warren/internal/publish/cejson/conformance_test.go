package cejson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/warrenmesh/warren/cmd/warren/internal/publish/cejson"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/event/eventjson"
)

// sample is one case of cloudevents/conformance.
type sample struct {
	ID    string          `json:"id"`
	Event json.RawMessage `json:"event"`
	Batch json.RawMessage `json:"batch"`
}

// conformance reads a file of cloudevents/conformance, which lies beside the real events.
func conformance(t *testing.T, name string) []sample {
	t.Helper()
	folder := os.Getenv("WARREN_CORPUS")
	named := folder != ""
	if !named {
		folder = "../../../../../shared/data"
	}
	if info, err := os.Stat(folder); err == nil && !info.IsDir() {
		folder = filepath.Dir(folder)
	}
	path := filepath.Join(folder, "cloudevents-json", name)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		t.Skipf("the cases are not here: neither WARREN_CORPUS nor %s", path)
	}
	if err != nil {
		t.Fatalf("read cases: %v", err)
	}
	var file struct {
		Tests []sample `json:"tests"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
	if len(file.Tests) == 0 {
		t.Fatalf("%s has no cases", path)
	}
	return file.Tests
}

func TestConformanceOfEvents(t *testing.T) {
	t.Parallel()
	for _, c := range conformance(t, "valid-events.json") {
		e, err := eventjson.Decode(c.Event)
		if err != nil {
			t.Errorf("%s: %v", c.ID, err)
			continue
		}
		again, err := eventjson.Decode(eventjson.Append(nil, e))
		if err != nil || !same(again, e) {
			t.Errorf("%s: written and read again it is %+v, %v, want %+v", c.ID, again, err, e)
		}
		wantMembers(t, c, e)
	}
	for _, c := range conformance(t, "invalid-events.json") {
		if e, err := eventjson.Decode(c.Event); err == nil {
			t.Errorf("%s: decoded %+v, want it refused", c.ID, e)
		}
	}
}

// wantMembers compares with the case itself, times as moments.
func wantMembers(t *testing.T, c sample, e *event.Event) {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(c.Event, &members); err != nil {
		t.Fatal(err)
	}
	for name, member := range members {
		got := e.Text(name)
		switch want := member.(type) {
		case nil:
			if got != "" {
				t.Errorf("%s: %s is %q, want none", c.ID, name, got)
			}
		case string:
			if name == "data" {
				got = string(e.Data)
			}
			v, _ := e.Lookup(name)
			if at, err := event.ParseTime(want); got != want && (err != nil || !v.Time().Equal(at)) {
				t.Errorf("%s: %s is %q, want %q", c.ID, name, got, want)
			}
		case bool:
			if v, _ := e.Lookup(name); !v.Equal(event.Boolean(want)) {
				t.Errorf("%s: %s is %v, want %v", c.ID, name, v, want)
			}
		case float64:
			if v, _ := e.Lookup(name); !v.Equal(event.Integer(int32(want))) {
				t.Errorf("%s: %s is %v, want %v", c.ID, name, v, want)
			}
		}
	}
}

func same(a, b *event.Event) bool {
	return a != nil && bytes.Equal(eventjson.Append(nil, a), eventjson.Append(nil, b))
}

func TestConformanceOfBatches(t *testing.T) {
	t.Parallel()
	for _, c := range conformance(t, "valid-batches.json") {
		var items []json.RawMessage
		if err := json.Unmarshal(c.Batch, &items); err != nil {
			t.Fatal(err)
		}
		if n, err := readBatch(c.Batch); err != nil || n != len(items) {
			t.Errorf("%s: %d events, %v, want %d", c.ID, n, err, len(items))
		}
	}
	for _, c := range conformance(t, "invalid-batches.json") {
		if _, err := readBatch(c.Batch); err == nil {
			t.Errorf("%s: taken, want it refused", c.ID)
		}
	}
}

// readBatch counts the events of a batch; the error is that of its first bad one.
func readBatch(batch []byte) (n int, err error) {
	for r := cejson.NewReader(bytes.NewReader(batch), cejson.ReaderOptions{}); ; n++ {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err = errors.Join(err, rec.Err); err != nil {
			return n, err
		}
	}
}
