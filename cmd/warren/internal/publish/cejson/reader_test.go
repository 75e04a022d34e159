package cejson_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/warrenmesh/warren/cmd/warren/internal/publish/cejson"
)

// transcript reads everything and writes one line for each record: its line and
// the event's id or the error.
func transcript(r *cejson.Reader) string {
	var b strings.Builder
	for {
		rec, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return strings.TrimSuffix(b.String(), "\n")
		case err != nil:
			fmt.Fprintf(&b, "stop: %v", err)
			return b.String()
		case rec.Err != nil:
			fmt.Fprintf(&b, "%d: %v\n", rec.Line, rec.Err)
		default:
			fmt.Fprintf(&b, "%d: id %s\n", rec.Line, rec.Event.ID)
		}
	}
}

func ev(id string) string {
	return `{"specversion":"1.0","id":"` + id + `","source":"/s","type":"t","data":[{"a":"}\"{"},{}]}`
}

func TestReaderSplitsInputs(t *testing.T) {
	t.Parallel()
	pretty := "{\n  \"specversion\": \"1.0\",\n  \"id\": \"p\",\n  \"source\": \"/s\",\n  \"type\": \"t\",\n  \"data\":\n{\"a\": [\n{},\n{}\n]}\n}\n"
	tests := []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"only blank lines", "\n \r\n", ""},
		{"one event without a line break", ev("1"), "1: id 1"},
		{"NDJSON with blank lines and CRLF", ev("1") + "\r\n\r\n" + ev("2") + "\n", "1: id 1\n3: id 2"},
		{"a byte order mark", "\xef\xbb\xbf" + ev("1"), "1: id 1"},
		{"several events on a line", ev("1") + ev("2") + " " + ev("3"), "1: id 1\n1: id 2\n1: id 3"},
		{"events over several lines", pretty + pretty, "1: id p\n12: id p"},
		{"an array", "[\n" + ev("1") + ",\n" + ev("2") + "\n]\n", "2: id 1\n3: id 2"},
		{"an empty array", "[]", ""},
		{"a line that is no JSON", "hello\n" + ev("2"), "1: not JSON: an event begins with {\n2: id 2"},
		{
			"a line cut off between members", `{"specversion":"1.0","id":"1",` + "\n" + ev("2"),
			"1: not JSON: the event is cut off at the end of its line\n2: id 2",
		},
		{
			"a line cut off inside a string", `{"specversion":"1.0","id":"1` + "\n" + ev("2"),
			`1: not JSON: unexpected '\n'` + "\n2: id 2",
		},
		{"a closing brace of the wrong kind", `{"a":[}` + "\n" + ev("2"), "1: not JSON: unexpected '}'\n2: id 2"},
		{"a cut at the end of the input", ev("1") + "\n{\"id\"", "1: id 1\n2: not JSON: the event ends too early"},
		{"an invalid event", `{"id":"1"}` + "\n" + ev("2"), "1: attribute \"specversion\": is missing; want \"1.0\"\n2: id 2"},
		{"an invalid event in an array", "[{},\n" + ev("2") + "]", "1: attribute \"specversion\": is missing; want \"1.0\"\n2: id 2"},
		{"an array that does not end", "[" + ev("1"), "1: id 1\nstop: line 1: the array does not end; want ]"},
		{"an array without commas", "[" + ev("1") + "\n" + ev("2") + "]", "1: id 1\nstop: line 2: unexpected '{' in the array; want events with commas between"},
		{"a number in an array", "[1]", "stop: line 1: unexpected '1' in the array; want events with commas between"},
		{"text after an array", "[]\n" + ev("1"), "stop: line 2: unexpected text after the array"},
		{"a broken event in an array", "[\n{\"a\":]\n,{}]", "2: not JSON: unexpected ']'\nstop: line 2: the rest of the array cannot be read"},
		{"broken gzip", "\x1f\x8bxxxxxxxxxxxxxxx", "stop: read gzip: gzip: invalid header"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for how, in := range map[string]io.Reader{
				"at once": strings.NewReader(tt.in), "byte by byte": iotest.OneByteReader(strings.NewReader(tt.in)),
			} {
				if got := transcript(cejson.NewReader(in, cejson.ReaderOptions{})); got != tt.want {
					t.Errorf("%s:\n%s\nwant:\n%s", how, got, tt.want)
				}
			}
		})
	}
}

func TestReaderUnpacksGzip(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := io.WriteString(w, ev("1")+"\n"+ev("2")+"\n"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	whole := packed.Bytes()
	if got := transcript(cejson.NewReader(bytes.NewReader(whole), cejson.ReaderOptions{})); got != "1: id 1\n2: id 2" {
		t.Errorf("whole file:\n%s", got)
	}
	cut := cejson.NewReader(bytes.NewReader(whole[:len(whole)-4]), cejson.ReaderOptions{})
	if got := transcript(cut); !strings.Contains(got, "stop: line") || !strings.Contains(got, "unexpected EOF") {
		t.Errorf("truncated file: %s, want it to stop with unexpected EOF", got)
	}
}

func TestReaderBoundsAnEvent(t *testing.T) {
	t.Parallel()
	long := `{"specversion":"1.0","id":"long","source":"/s","type":"t","data":"` + strings.Repeat("x", 500) + `"}`
	r := cejson.NewReader(strings.NewReader(long+"\n"+ev("2")), cejson.ReaderOptions{MaxEventBytes: 200})
	if got, want := transcript(r), "1: longer than 200 bytes\n2: id 2"; got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestReaderReportsAFailingSource(t *testing.T) {
	t.Parallel()
	cause := errors.New("disk on fire")
	r := cejson.NewReader(io.MultiReader(strings.NewReader(ev("1")+"\n{"), iotest.ErrReader(cause)), cejson.ReaderOptions{})
	if rec, err := r.Next(); err != nil || rec.Event == nil {
		t.Fatalf("first record: %+v, %v", rec, err)
	}
	for range 2 {
		if _, err := r.Next(); !errors.Is(err, cause) {
			t.Errorf("Next = %v, want the cause, each time", err)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(ev("1") + "\n{\"a\":[\n{}\n]}\n" + ev("2")))
	f.Add([]byte("[" + ev("1") + "," + ev("2") + "]"))
	f.Add([]byte("{\"a\n{\"b\":]}\nx{}"))
	f.Add([]byte("\x1f\x8b\x08\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := cejson.NewReader(bytes.NewReader(in), cejson.ReaderOptions{})
		line := 1
		for range len(in) + 2 {
			rec, err := r.Next()
			if err != nil {
				return
			}
			if rec.Line < line {
				t.Fatalf("line went back from %d to %d", line, rec.Line)
			}
			line = rec.Line
			if (rec.Err == nil) == (rec.Event == nil) {
				t.Fatalf("record has both or neither: %+v", rec)
			}
		}
		t.Fatalf("no end after %d records from %d bytes", len(in)+2, len(in))
	})
}
