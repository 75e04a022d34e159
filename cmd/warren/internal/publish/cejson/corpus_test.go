package cejson_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/warrenmesh/warren/cmd/warren/internal/publish/cejson"
	"github.com/warrenmesh/warren/proxy/event/eventjson"
)

// corpus returns the real events: $WARREN_CORPUS (a file or its directory), else
// the folder beside the checkout. Without them the test is skipped, except in CI,
// which names them.
func corpus(t *testing.T) []byte {
	t.Helper()
	const name = "github-events.ndjson.gz"
	path := os.Getenv("WARREN_CORPUS")
	named := path != ""
	if !named {
		path = "../../../../../shared/data"
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, name)
	}
	packed, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		t.Skipf("the corpus is not here: neither WARREN_CORPUS nor %s", path)
	}
	if err != nil {
		t.Fatalf("read corpus: %v", err)
	}
	return packed
}

func TestCorpusDecodesByteForByte(t *testing.T) {
	t.Parallel()
	packed := corpus(t)
	gz, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatalf("unpack: %v", err)
	}
	lines := bufio.NewScanner(gz)
	lines.Buffer(nil, 1<<20)
	r := cejson.NewReader(bytes.NewReader(packed), cejson.ReaderOptions{})
	count := 0
	for lines.Scan() {
		count++
		rec, err := r.Next()
		if err != nil || rec.Err != nil {
			t.Fatalf("line %d: %v %v", count, err, rec.Err)
		}
		if rec.Line != count {
			t.Fatalf("record says line %d, want %d", rec.Line, count)
		}
		checkAgainstSource(t, count, lines.Bytes(), rec)
	}
	if err := lines.Err(); err != nil {
		t.Fatalf("scan: %v", err)
	}
	if count != 186 {
		t.Errorf("the corpus has %d events, want 186", count)
	}
}

// checkAgainstSource compares with an independent reading of the line: the data
// member's bytes are looked for in the line itself.
func checkAgainstSource(t *testing.T, n int, line []byte, rec cejson.Record) {
	t.Helper()
	var source struct {
		ID   string          `json:"id"`
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(line, &source); err != nil {
		t.Fatalf("line %d: %v", n, err)
	}
	if rec.Event.ID != source.ID {
		t.Errorf("line %d: id %q, want %q", n, rec.Event.ID, source.ID)
	}
	if !bytes.Equal(rec.Event.Data, source.Data) || !bytes.Contains(line, append([]byte(`"data":`), rec.Event.Data...)) {
		t.Errorf("line %d: data is not byte-identical", n)
	}
	again, err := eventjson.Decode(eventjson.Append(nil, rec.Event))
	if err != nil || !bytes.Equal(again.Data, source.Data) {
		t.Errorf("line %d: after a round trip the data differs (%v)", n, err)
	}
}
