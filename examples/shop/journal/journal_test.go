package journal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/warrenmesh/warren/examples/shop/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func Example() {
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "billing.ndjson")

	w, err := journal.Open(path)
	if err != nil {
		panic(err)
	}
	_ = w.Append(journal.Record{What: journal.Delivered, ID: "order-1", Subscription: "billing", Attempt: 1})
	_ = w.Close()

	records, _ := journal.Read(path)
	fmt.Println(len(records), records[0].What, records[0].ID)
	// Output: 1 delivered order-1
}

func TestWhatIsAppendedIsRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	w := open(t, path)
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	want := []journal.Record{
		{Time: at, What: journal.Published, ID: "a", Trace: "t"},
		{Time: at, What: journal.Delivered, ID: "b", Subscription: "s", Topic: "shop/orders", Attempt: 2, Redelivered: true, Cause: "a"},
	}
	if err := w.Append(want...); err != nil {
		t.Fatal(err)
	}
	got, err := journal.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("read %+v, want %+v", got, want)
	}
}

func TestAMissingJournalIsEmpty(t *testing.T) {
	t.Parallel()
	records, err := journal.Read(filepath.Join(t.TempDir(), "none"))
	if err != nil || len(records) != 0 {
		t.Errorf("read %v, %v; want nothing", records, err)
	}
}

func TestATailReturnsOnlyWholeNewLines(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	tail := journal.NewTail(path)
	for _, step := range []struct{ write, want string }{
		{`{"what":"published","id":"a"}` + "\n" + `{"what":"publ`, "a"},
		{`ished","id":"b"}`, ""},
		{"\n" + `{"what":"published","id":"c"}` + "\n", "b c"},
	} {
		appendText(t, path, step.write)
		records, err := tail.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got := ids(records); got != step.want {
			t.Errorf("after %q the tail returned %q, want %q", step.write, got, step.want)
		}
	}
}

func TestALineThatIsNotJSONIsNamed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	appendText(t, path, `{"what":"done"}`+"\nnonsense\n")
	_, err := journal.Read(path)
	if err == nil || !strings.Contains(err.Error(), "j:2: ") {
		t.Errorf("read error is %v, want one that names line 2", err)
	}
}

func TestReopeningCutsATornLine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	appendText(t, path, `{"what":"published","id":"a"}`+"\n"+`{"what":"published","id":"tor`)
	w := open(t, path)
	if err := w.Append(journal.Record{What: journal.Published, ID: "b"}); err != nil {
		t.Fatal(err)
	}
	records, err := journal.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := ids(records); got != "a b" {
		t.Errorf("journal holds %q, want %q", got, "a b")
	}
}

func TestConcurrentAppendsDoNotMix(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	w := open(t, path)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 50 {
				if err := w.Append(journal.Record{What: journal.Published, ID: strings.Repeat("x", 100)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	records, err := journal.Read(path)
	if err != nil || len(records) != 1000 {
		t.Errorf("read %d records, %v; want 1000", len(records), err)
	}
}

func open(t *testing.T, path string) *journal.Writer {
	t.Helper()
	w, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func appendText(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func ids(records []journal.Record) string {
	var out []string
	for _, r := range records {
		out = append(out, r.ID)
	}
	return strings.Join(out, " ")
}
