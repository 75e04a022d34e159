package event_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/warrenmesh/warren/proxy/event"
)

func TestAttributesStaySortedAndUnique(t *testing.T) {
	t.Parallel()
	e := &event.Event{}
	for _, name := range []string{"zeta", "alpha", "mid", "alpha"} {
		e.Set(name, event.String(name+"!"))
	}
	var names []string
	for _, a := range e.Attrs {
		names = append(names, a.Name)
	}
	if got := fmt.Sprint(names); got != "[alpha mid zeta]" {
		t.Errorf("attributes %s", got)
	}
	if got := e.Text("mid"); got != "mid!" {
		t.Errorf("mid = %q", got)
	}
}

func TestRequiredAttributesAreFields(t *testing.T) {
	t.Parallel()
	e := &event.Event{}
	e.Set("id", event.String("1"))
	e.Set("source", event.URIRef("/s"))
	e.Set("type", event.String("t"))
	e.Set("specversion", event.String("0.3"))
	if e.ID != "1" || e.Source != "/s" || e.Type != "t" || len(e.Attrs) != 0 {
		t.Errorf("event %+v", e)
	}
	if v, ok := e.Lookup("specversion"); !ok || v.String() != "1.0" {
		t.Errorf("specversion %q, %v", v, ok)
	}
	if _, ok := (&event.Event{}).Lookup("id"); ok {
		t.Error("an empty id counts as present")
	}
}

func TestValuesHaveTheirCanonicalForm(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 4, 5, 6, 7, time.FixedZone("", 3600))
	for want, v := range map[string]event.Value{
		"true":                                event.Boolean(true),
		"false":                               event.Boolean(false),
		"-7":                                  event.Integer(-7),
		"AAH/":                                event.Binary([]byte{0, 1, 255}),
		"2026-11-23T04:05:06.000000007+01:00": event.Timestamp(at),
		"plain":                               event.String("plain"),
		"/ref":                                event.URIRef("/ref"),
	} {
		if got := v.String(); got != want {
			t.Errorf("%v: %q, want %q", v.Kind(), got, want)
		}
		if same := v; !v.Equal(same) {
			t.Errorf("%v is not equal to itself", v.Kind())
		}
	}
	if event.String("1").Equal(event.Integer(1)) {
		t.Error("values of different kinds are equal")
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spoil func(*event.Event)
		field string // "" means valid
	}{
		"a minimal event is valid":       {func(*event.Event) {}, ""},
		"unicode is valid":               {func(e *event.Event) { e.Set("subject", event.String("żółw")) }, ""},
		"an empty id":                    {func(e *event.Event) { e.ID = "" }, "id"},
		"a control character":            {func(e *event.Event) { e.ID = "a\x00" }, "id"},
		"a C1 control character":         {func(e *event.Event) { e.Set("subject", event.String("\u0085")) }, "subject"},
		"broken UTF-8":                   {func(e *event.Event) { e.Type = "\xff" }, "type"},
		"a source that is no reference":  {func(e *event.Event) { e.Source = "http://[" }, "source"},
		"an empty subject":               {func(e *event.Event) { e.Set("subject", event.String("")) }, "subject"},
		"an empty extension is valid":    {func(e *event.Event) { e.Set("partitionkey", event.String("")) }, ""},
		"a content type that is none":    {func(e *event.Event) { e.Set("datacontenttype", event.String("nonsense;")) }, "datacontenttype"},
		"a content type with parameters": {func(e *event.Event) { e.Set("datacontenttype", event.String("text/plain; charset=utf-8")) }, ""},
		"an empty data schema":           {func(e *event.Event) { e.Set("dataschema", event.URI("")) }, "dataschema"},
		"a time that is a string":        {func(e *event.Event) { e.Set("time", event.String("2026")) }, "time"},
		"a subject that is no string":    {func(e *event.Event) { e.Set("subject", event.Integer(1)) }, "subject"},
		"a time in the year 0":           {func(e *event.Event) { e.Set("time", event.Timestamp(time.Unix(-62135596801, 0))) }, "time"},
		"a time in the year 10000":       {func(e *event.Event) { e.Set("ext", event.Timestamp(time.Unix(253402300800, 0))) }, "ext"},
		"an expiry that is no time":      {func(e *event.Event) { e.Set("expirytime", event.String("soon")) }, "expirytime"},
		"an empty expiry is valid":       {func(e *event.Event) { e.Set("expirytime", event.String("")) }, ""},
		"more attributes than allowed":   {func(e *event.Event) { e.Attrs = make([]event.Attr, event.MaxAttributes+1) }, "attributes"},
		"a name in capitals":             {func(e *event.Event) { e.Set("Name", event.String("x")) }, "Name"},
		"a name with a dash":             {func(e *event.Event) { e.Set("x-death", event.String("x")) }, "x-death"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &event.Event{ID: "1", Source: "/s", Type: "t"}
			test.spoil(e)
			err := e.Validate()
			var fe *event.FieldError
			if test.field == "" && err != nil || test.field != "" && (!errors.As(err, &fe) || fe.Field != test.field) {
				t.Errorf("Validate: %v, want a complaint about %q", err, test.field)
			}
		})
	}
}

func ExampleEvent_Validate() {
	e := &event.Event{ID: "1", Source: "/shop", Type: "com.shop.order.placed"}
	e.Set("time", event.Timestamp(time.Unix(0, 0).UTC()))
	fmt.Println(e.Validate(), e.Text("time"))
	// Output: <nil> 1970-01-01T00:00:00Z
}

// What is accepted without parsing must be what parsing accepts.
func TestPlainSourcesAreReferences(t *testing.T) {
	t.Parallel()
	const unreserved = "abzAZ019-._~/"
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		source := make([]byte, 1+r.IntN(8))
		for i := range source {
			source[i] = unreserved[r.IntN(len(unreserved))]
		}
		if _, err := url.Parse(string(source)); err != nil {
			t.Fatalf("%q is no reference: %v", source, err)
		}
		e := &event.Event{ID: "1", Source: string(source), Type: "t"}
		if err := e.Validate(); err != nil {
			t.Fatalf("%q: %v", source, err)
		}
	}
}

func TestAnEventInARoomIsTheSame(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 3, 6, 7, 20} {
		var room event.Room
		in, out := room.Builder(), event.Builder{}
		for _, b := range []*event.Builder{&in, &out} {
			b.Required("1", "/shop", "placed")
			for i := range n {
				if err := b.Add(fmt.Sprintf("a%02d", (7*i)%n), event.Integer(int32(i))); err != nil { //nolint:gosec // small
					t.Fatal(err)
				}
			}
		}
		got, err := in.Event([]byte("data"))
		want, err2 := out.Event([]byte("data"))
		if err != nil || err2 != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("with %d attributes: %+v, want %+v (%v, %v)", n, got, want, err, err2)
		}
	}
}
