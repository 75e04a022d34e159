package message_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

// encoded returns a table's content with one field: its type octet and encoded value.
func encoded(name, value string) string { return string(rune(len(name))) + name + value }

func long(kind byte, s string) string {
	return string(kind) + string(binary.BigEndian.AppendUint32(nil, uint32(len(s)))) + s
}

// nested returns n arrays in each other, as a value.
func nested(n int) string {
	value := ""
	for range n {
		value = long('A', value)
	}
	return value
}

func TestEveryTypeHasItsValue(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		value string
		want  any
	}{
		"bool":                     {"t\x01", true},
		"int8":                     {"b\xff", int64(-1)},
		"uint8":                    {"B\xff", int64(255)},
		"int16":                    {"s\xff\xfe", int64(-2)},
		"uint16":                   {"u\xff\xfe", int64(65534)},
		"int32":                    {"I\x80\x00\x00\x00", int64(math.MinInt32)},
		"uint32":                   {"i\x80\x00\x00\x00", int64(1 << 31)},
		"int64":                    {"l\x80\x00\x00\x00\x00\x00\x00\x00", int64(math.MinInt64)},
		"uint64, as signed":        {"L\xff\xff\xff\xff\xff\xff\xff\xff", int64(-1)},
		"float32":                  {"f\x3f\xc0\x00\x00", 1.5},
		"float64":                  {"d\x3f\xf8\x00\x00\x00\x00\x00\x00", 1.5},
		"decimal":                  {"D\x02\x00\x00\x04\xd2", "12.34"},
		"a tiny decimal":           {"D\xff\x00\x00\x00\x07", "7e-255"},
		"text":                     {long('S', "é\x00"), "é\x00"},
		"bytes":                    {long('x', "\xff"), []byte{255}},
		"timestamp":                {"T\x00\x00\x00\x00\x00\x00\x00\x01", time.Unix(1, 0).UTC()},
		"no time at all":           {"T\x7f\xff\xff\xff\xff\xff\xff\xff", int64(math.MaxInt64)},
		"void":                     {"V", nil},
		"array":                    {long('A', "V"+"t\x00"), []any{nil, false}},
		"table":                    {long('F', encoded("a", "V")), message.Pairs{{Name: "a"}}},
		"nested over the budget":   {nested(5), []any{[]any{[]any{message.Omitted}}}},
		"elements over the budget": {long('A', strings.Repeat("V", 101)), message.Omitted},
		"a broken element":         {long('A', "S\x00"), message.Omitted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table, err := message.ParseTable(encoded("x", test.value))
			if err != nil {
				t.Fatal(err)
			}
			f, ok := table.Lookup("x")
			if got := f.Value(&message.Budget{Depth: 3, Elements: 100}); !ok || !reflect.DeepEqual(got, test.want) {
				t.Errorf("value %#v, want %#v", got, test.want)
			}
		})
	}
}

// What the library refuses, and closes the connection for, is read like anything else.
func TestATableMayBeAsDeepAndWideAsAFrame(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"33 arrays in each other":    nested(33),
		"3,000 arrays":               nested(3_000),
		"an array of 9,000 booleans": long('A', strings.Repeat("t\x01", 9000)),
		"an unsigned integer":        "L\x00\x00\x00\x00\x00\x00\x00\x01",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := encoded("deep", value) + encoded("after", long('S', "here"))
			table, err := message.ParseTable(content)
			if err != nil || table.Text("after") != "here" {
				t.Fatalf("%v, after it %q", err, table.Text("after"))
			}
			if got := string(table.Append(nil)[4:]); got != content {
				t.Error("a copy differs")
			}
		})
	}
}

func TestABrokenTableIsKeptAsItIs(t *testing.T) {
	t.Parallel()
	good := encoded("good", long('S', "1"))
	for name, bad := range map[string]string{
		"an unknown type":             encoded("x", "?123"),
		"a name that ends too early":  "\x05ab",
		"a name and nothing else":     "\x01a",
		"a number that is cut":        encoded("x", "l123"),
		"a text longer than the rest": encoded("x", "S\xff\xff\xff\xff123"),
		"a length that is cut":        encoded("x", "S\x00\x00"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			properties := message.Properties{MessageID: "m", Headers: message.Table{Rest: good + bad}, AppID: "app"}
			b := properties.Append(nil)
			p, err := message.ParseProperties(string(b))
			var headers *message.HeadersError
			if !errors.As(err, &headers) {
				t.Fatalf("error %v, want one of the headers alone", err)
			}
			if p.Headers.Text("good") != "1" || p.MessageID != "m" || p.AppID != "app" {
				t.Errorf("read %+v", p)
			}
			if got := p.Append(nil); string(got) != string(b) {
				t.Errorf("a copy is %q, want %q", got, b)
			}
		})
	}
}

func TestPropertiesAreThoseTheLibraryWrites(t *testing.T) {
	t.Parallel()
	// A property that is there though it is empty, and one that is absent, stay so.
	p := message.Properties{
		Flags:       message.HasReplyTo | message.HasPriority | message.HasTimestamp,
		ContentType: "text/plain", ContentEncoding: "gzip", DeliveryMode: 2, CorrelationID: "c", Expiration: "1", MessageID: "m",
		Type: "t", UserID: "u", AppID: "a", ClusterID: "x",
	}
	p.Headers.AddText("s", "v")
	p.Headers.AddInt("n", -1)
	p.Headers.AddInt32("i", 7)
	p.Headers.AddBool("b", true)
	p.Headers.AddBytes("x", "\x00")
	b := p.Append(nil)
	if p.Size() != len(b) {
		t.Errorf("size %d, want %d", p.Size(), len(b))
	}
	got, err := message.ParseProperties(string(b))
	if err != nil {
		t.Fatal(err)
	}
	if again := got.Append(nil); string(again) != string(b) {
		t.Errorf("a copy is %q, want %q", again, b)
	}
	if !got.Has(message.HasReplyTo) || !got.Has(message.HasPriority) || !got.Has(message.HasTimestamp) || got.Headers.String() != "{s n i b x}" {
		t.Errorf("read %+v", got)
	}
	// AMQPLAIN's response is a table without its length, written by the library.
	plain := &amqp.AMQPlainAuth{Username: "u", Password: "secret"}
	table, err := message.ParseTable(plain.Response())
	if err != nil || table.Text("LOGIN") != "u" || table.Text("PASSWORD") != "secret" {
		t.Errorf("read %v of the library's table (%v)", &table, err)
	}
}

func FuzzPropertiesAreCopiedAsTheyAre(f *testing.F) {
	kinds := "tbBsuIilLfdDSxTAFV?"
	for i := range kinds {
		p := message.Properties{MessageID: "1", Headers: message.Table{Rest: encoded("x", kinds[i:i+1]+"\x00\x00\x00\x02\x01a\x00\x00\x00")}}
		f.Add(p.Append(nil))
	}
	f.Add([]byte{0x20, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := message.ParseProperties(string(b))
		var headers *message.HeadersError
		if err != nil && !errors.As(err, &headers) {
			return // not the form of any properties
		}
		if got := p.Append(nil); string(got) != string(b) {
			t.Fatalf("copied as %x, want %x", got, b)
		}
		if p.Size() != len(b) {
			t.Fatalf("size %d, want %d", p.Size(), len(b))
		}
		budget := message.Budget{Depth: 8, Elements: 1000}
		for i := range p.Headers.Fields {
			_ = fmt.Sprint(p.Headers.Fields[i].Value(&budget))
		}
	})
}
