package event_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/warrenmesh/warren/proxy/event"
)

func TestParseTime(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{ // "" means refused
		"2018-04-05T17:31:00Z":                "2018-04-05T17:31:00Z",
		"2018-04-05t17:31:00z":                "2018-04-05T17:31:00Z",
		"2018-04-05T17:31:00.000000001-01:30": "2018-04-05T17:31:00.000000001-01:30",
		"2018-04-05T17:31:00+0000":            "2018-04-05T17:31:00Z",
		"2018-04-05T17:31:00.5-0530":          "2018-04-05T17:31:00.5-05:30",
		"2018-04-05T17:31:00+00:00":           "2018-04-05T17:31:00Z",
		"0001-01-01T00:00:00Z":                "0001-01-01T00:00:00Z",
		"9999-12-31T23:59:59.999999999Z":      "9999-12-31T23:59:59.999999999Z",
		"0001-01-01T00:00:00+00:01":           "", // in the year 0 of UTC
		"9999-12-31T23:59:59-00:01":           "", // in the year 10000 of UTC
		"0000-06-01T00:00:00Z":                "",
		"10000-01-01T00:00:00Z":               "",
		"":                                    "",
		"yesterday":                           "",
		"2018-04-05":                          "",
		"2018-04-05T17:31Z":                   "",
		"2018-04-05T7:31:00Z":                 "",
		"2018-04-05T17:31:00":                 "",
		"2018-04-05 17:31:00Z":                "",
		"2018-04-05T17:31:00,5Z":              "",
		"2018-04-05T17:31:00+05":              "",
		"2018-04-05T17:31:00+24:00":           "",
		"2018-04-05T17:31:00+2400":            "",
		"2018-04-05T17:31:00+00:60":           "",
		"2018-04-05T17:31:00+25:00":           "",
		"2018-02-30T17:31:00Z":                "",
		" 2018-04-05T17:31:00Z":               "",
		"1732345678901":                       "",
	} {
		got, err := event.ParseTime(in)
		if want == "" {
			if err == nil {
				t.Errorf("ParseTime(%q) = %v, want an error", in, got)
			}
			continue
		}
		if err != nil || event.Timestamp(got).String() != want {
			t.Errorf("ParseTime(%q) = %v, %v, want %s", in, got, err, want)
		}
	}
}

func FuzzParseTime(f *testing.F) {
	f.Add("2018-04-05T17:31:00+0000")
	f.Add("2018-04-05T7:31:00Z")
	f.Fuzz(func(t *testing.T, s string) {
		at, err := event.ParseTime(s)
		if err != nil {
			return
		}
		again, err := event.ParseTime(event.Timestamp(at).String())
		if err != nil || !again.Equal(at) {
			t.Errorf("%q is %v, and written again %v, %v", s, at, again, err)
		}
	})
}

func TestSinceEpochTellsUnitsByMagnitude(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{ // "" means out of range
		0:                   "1970-01-01T00:00:00Z",
		1_732_345_678:       "2024-11-23T07:07:58Z",
		1_732_345_678_901:   "2024-11-23T07:07:58.901Z",
		99_999_999_999:      "5138-11-16T09:46:39Z",
		100_000_000_000:     "1973-03-03T09:46:40Z",
		-1:                  "1969-12-31T23:59:59Z",
		-100_000_000_000:    "1966-10-31T14:13:20Z",
		253402300799999:     "9999-12-31T23:59:59.999Z",
		253402300800000:     "",
		-62135596800000:     "0001-01-01T00:00:00Z",
		-62135596800001:     "",
		math.MaxInt64:       "",
		math.MinInt64:       "",
		1_732_345_678e6 + 1: "",
	} {
		at, ok := event.SinceEpoch(n)
		if got := event.Timestamp(at).String(); ok != (want != "") || ok && got != want {
			t.Errorf("SinceEpoch(%d) = %s, %v, want %q", n, got, ok, want)
		}
	}
}

func TestBuilderSortsOnceAndKeepsTheLast(t *testing.T) {
	t.Parallel()
	var b event.Builder
	b.Grow(10)
	for _, a := range []struct{ name, value string }{
		{"zeta", "1"}, {"alpha", "1"}, {"traceparent", ""}, {"tracestate", "a=b"}, {"zeta", "2"}, {"traceid", ""}, {"empty", ""},
		{"id", "1"}, {"source", "/s"}, {"type", "t"}, {"specversion", "1.0"}, {"id", "2"},
	} {
		if err := b.Add(a.name, event.String(a.value)); err != nil {
			t.Fatal(err)
		}
	}
	e, err := b.Event([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range e.Attrs {
		got = append(got, a.Name+"="+a.Value.String())
	}
	if s := strings.Join(got, " "); s != "alpha=1 empty= tracestate=a=b zeta=2" || e.ID != "2" || string(e.Data) != "x" {
		t.Errorf("event %s with %s", e.ID, s)
	}
}

func TestBuilderRefuses(t *testing.T) {
	t.Parallel()
	for name, add := range map[string]func(b *event.Builder) error{
		"another version":       func(b *event.Builder) error { return b.Add("specversion", event.String("0.3")) },
		"an integer as id":      func(b *event.Builder) error { return b.Add("id", event.Integer(25)) },
		"a boolean as subject":  func(b *event.Builder) error { return b.Add("subject", event.Boolean(true)) },
		"a time as type":        func(b *event.Builder) error { return b.Add("type", event.Timestamp(time.Time{})) },
		"data as an attribute":  func(b *event.Builder) error { return b.Add("data", event.String("")) },
		"a name with a dash":    func(b *event.Builder) error { return b.Add("a-b", event.String("")) },
		"no version in the end": func(b *event.Builder) error { _, err := b.Event(nil); return err },
		"too many attributes": func(b *event.Builder) (err error) {
			for range event.MaxAttributes + 1 {
				err = b.Add("same", event.String(""))
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := add(&event.Builder{}); err == nil {
				t.Error("no error")
			}
		})
	}
}
