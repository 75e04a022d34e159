package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

const (
	corpusFile   = "github-events.ndjson.gz"
	corpusEvents = 186
)

// findCorpus returns the path of the real events: $WARREN_CORPUS, which is a file or
// its directory, else the folder beside the checkout. Without the events the test is
// skipped; it fails instead in CI, or when the variable is set.
func findCorpus(t *testing.T) string {
	t.Helper()
	path := os.Getenv("WARREN_CORPUS")
	must := path != "" || os.Getenv("CI") == "true"
	if path == "" {
		path = filepath.Join(programs.Root(), "..", "shared", "data")
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, corpusFile)
	}
	if _, err := os.Stat(path); err != nil {
		if must {
			t.Fatalf("the corpus is not there: %v", err)
		}
		t.Skipf("the corpus is not there: %v", err)
	}
	return path
}

// readCorpus returns the data of every event by its id, byte for byte.
func readCorpus(t *testing.T, path string) map[string][]byte {
	t.Helper()
	file, err := os.Open(path) //nolint:gosec // the user of the test gives the path
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	data := map[string][]byte{}
	lines := bufio.NewScanner(unzipped)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event struct {
			ID   string          `json:"id"`
			Data json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(lines.Bytes(), append([]byte(`"data":`), event.Data...)) {
			t.Fatalf("event %s: its data was not read as it is written", event.ID)
		}
		data[event.ID] = event.Data
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(data) != corpusEvents {
		t.Fatalf("%s has %d events, want %d", path, len(data), corpusEvents)
	}
	return data
}

func TestTheCorpusPublishedByTheCommandArrivesByteForByte(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	path := findCorpus(t)
	want := readCorpus(t, path)
	r.start(r.topic("hooks"), r.subscription(subscription{name: "archive", topic: "hooks", app: "archive"}))
	platform, archive := r.service("platform"), r.service("archive")
	in := archive.subscribe("archive")
	out, errs, code := r.mesh.Warren(t.Context(), "publish", "hooks", "-f", path, "--sidecar", platform.TCP, "-o", "json")
	var report struct{ Read, Confirmed, Failed int }
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 0 {
		t.Fatalf("warren publish: exit code %d, %v\n%s%s", code, err, out, errs)
	}
	if report.Read != corpusEvents || report.Confirmed != corpusEvents || report.Failed != 0 {
		t.Errorf("warren publish reports %+v, want %d confirmed", report, corpusEvents)
	}
	for range corpusEvents {
		d := in.next()
		id := d.GetEvent().GetId()
		if data, ok := want[id]; !ok || !bytes.Equal(data, d.GetEvent().GetBinaryData()) {
			t.Errorf("the data of event %q is not that of the corpus", id)
		}
		delete(want, id)
		in.ack(d)
	}
	if len(want) > 0 {
		t.Errorf("%d events of the corpus did not arrive", len(want))
	}
}
