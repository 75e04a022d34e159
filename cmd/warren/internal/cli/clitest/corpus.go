package clitest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Line is an event in JSON, on a line.
func Line(id, typ string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/s","type":%q}`+"\n", id, typ)
}

// Corpus returns the path of 186 real webhook events and their payloads by id:
// $WARREN_CORPUS (a file or its directory), else the folder beside the checkout. CI
// names them, so that they cannot be missing there.
func Corpus(t testing.TB) (path string, payloads map[string][]byte) {
	t.Helper()
	path = os.Getenv("WARREN_CORPUS")
	named := path != ""
	if !named {
		path = "../../../../../shared/data"
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
