package foreign

import (
	"fmt"
	"math"
	"strings"

	"github.com/warrenmesh/warren/test/internal/rawamqp"
)

// deep returns header tables that amqp091-go refuses: its limits are 8,192 elements and
// 32 levels.
func deep() []odd {
	many := func(n int, v rawamqp.Value) rawamqp.Value {
		return rawamqp.Long('A', strings.Repeat(string(v), n))
	}
	out := []odd{
		with("an array of 9,000 booleans", field("wide", many(9000, rawamqp.Bool(true)))),
		with("33 arrays in one another", field("deep", rawamqp.DeepArray(33))),
		with("40 tables in one another", field("deep", rawamqp.DeepTable(40))),
		event("an event with an array of 30,000 voids", field("wide", many(30000, rawamqp.Raw('V', "")))),
	}
	for _, n := range []int{32, 34, 64, 100} {
		out = append(out,
			with(fmt.Sprintf("%d arrays in one another", n), field("deep", rawamqp.DeepArray(n))),
			event(fmt.Sprintf("an event with %d tables in one another", n), field("deep", rawamqp.DeepTable(n))))
	}
	v := rawamqp.Text("x")
	for range 50 {
		v = rawamqp.Array(rawamqp.Table(field("a", v)), rawamqp.Bool(false))
	}
	wide := make([]rawamqp.Field, 9000)
	for i := range wide {
		wide[i] = field(fmt.Sprintf("f%d", i), rawamqp.Raw('V', ""))
	}
	return append(out, with("tables in arrays in tables", field("deep", v)), with("a table of 9,000 fields", field("wide", rawamqp.Table(wide...))), with("9,000 headers", wide...))
}

// octets returns headers of every type, with extreme values.
func octets() []odd {
	var all []rawamqp.Field
	for _, t := range []struct {
		octet byte
		bits  []uint64
	}{
		{'t', []uint64{0, 1}}, {'b', []uint64{0x80, 0x7f}}, {'B', []uint64{0xff}}, {'s', []uint64{0x8000}}, {'u', []uint64{0xffff}},
		{'I', []uint64{1 << 31}}, {'i', []uint64{math.MaxUint32}}, {'l', []uint64{1 << 63, math.MaxInt64}}, {'L', []uint64{1 << 63, 7}}, {'T', []uint64{0, 1}},
	} {
		for _, b := range t.bits {
			all = append(all, field(fmt.Sprintf("%c-%d", t.octet, b), rawamqp.Number(t.octet, b)))
		}
	}
	all = append(all,
		field("V", rawamqp.Raw('V', "")), field("x", rawamqp.Long('x', "\x00\xff\x80")), field("S", rawamqp.Text("text")), field("d", rawamqp.Double(-0.5)),
		field("f", rawamqp.Number('f', uint64(math.Float32bits(1.5)))), field("D", rawamqp.Raw('D', "\x02\x00\x00\x01\x00")),
	)
	out := []odd{with("every type", all...), event("an event with every type", all...)}
	for name, v := range map[string]rawamqp.Value{
		"a 64-bit integer of type L":                   rawamqp.Number('L', 1<<62),
		"a byte array that is no text":                 rawamqp.Long('x', "\xff\xfe\x00"),
		"a text that is no UTF-8":                      rawamqp.Text("\xff\xfe\x00"),
		"a text with control characters":               rawamqp.Text("a\r\nb\x00\x1b[31m"),
		"a decimal of 255 places":                      rawamqp.Raw('D', "\xff\x7f\xff\xff\xff"),
		"a time beyond the year 9999":                  rawamqp.Number('T', 253402300800),
		"a time beyond everything":                     rawamqp.Number('T', math.MaxUint64),
		"a time in milliseconds":                       rawamqp.Number('T', 1732345678901),
		"no number":                                    rawamqp.Double(math.NaN()),
		"an infinite number":                           rawamqp.Double(math.Inf(1)),
		"a boolean that is 2":                          rawamqp.Raw('t', "\x02"),
		"a type octet that nobody knows":               rawamqp.Raw('Z', ""),
		"an array that says it is longer than it is":   rawamqp.Raw('A', "\x00\x00\xff\xff"),
		"an array with half a value":                   rawamqp.Long('A', "l\x00\x00"),
		"an empty table, an empty array, an empty one": rawamqp.Array(rawamqp.Table(), rawamqp.Array(), rawamqp.Text("")),
	} {
		out = append(out, with(name, field("odd", v)), event("an event with "+name, field("odd", v)))
	}
	sortByName(out[2:])
	return out
}

// names returns headers with unusual names.
func names() []odd {
	long := strings.Repeat("n", 255)
	text := rawamqp.Text("v")
	return []odd{
		with("a name of 255 bytes", field(long, text)),
		event("an event with an attribute of 255 bytes", field("ce-"+long[3:], text)),
		with("a name of no bytes", field("", text)),
		with("a name that is no UTF-8", field("\xff\x00", text)),
		with("a name with CR and LF", field("a\r\nb", text)),
		with("one name three times", field("n", text), field("n", rawamqp.Bool(true)), field("n", text)),
		event("an event with its id twice", field("ce-id", rawamqp.Text("2"))),
		with("names of several kinds of events", field("cloudEvents:id", text), field("cloudEvents_id", text), field("ce-", text), field("CE-ID", text)),
	}
}

// large returns header tables of some 100 KB. With the headers that are added to a
// copy, they may be too large.
func large() []odd {
	thousand := make([]rawamqp.Field, 1000)
	for i := range thousand {
		thousand[i] = field(fmt.Sprintf("h%d", i), rawamqp.Text(strings.Repeat("x", 90)))
	}
	return []odd{
		event("an attribute of 100,000 bytes", field("ce-note", rawamqp.Text(strings.Repeat("n", 100_000)))),
		with("a header of 100,000 bytes", field("note", rawamqp.Text(strings.Repeat("n", 100_000)))),
		event("1,000 headers of 90 bytes", thousand...),
		with("a byte array of 120,000 bytes", field("note", rawamqp.Long('x', strings.Repeat("\xff", 120_000)))),
		with("a table of 110,000 bytes", field("note", rawamqp.Table(field("a", rawamqp.Text(strings.Repeat("n", 110_000)))))),
	}
}

// oversize returns messages whose body, id or name is too large.
func oversize() []odd {
	text := func(n int) rawamqp.Value { return rawamqp.Text(strings.Repeat("x", n)) }
	body := func(name string, n int, o odd) odd {
		o.name, o.Body = name, make([]byte, n)
		return o
	}
	as := func(name string, p rawamqp.Properties, o odd) odd {
		o.name, o.UserID, o.Expiration, o.MessageID, o.Type = name, p.UserID, p.Expiration, p.MessageID, p.Type
		return o
	}
	long := strings.Repeat("p", 255)
	return []odd{
		body("17 MiB", 17<<20, with("")),
		body("an event of 17 MiB", 17<<20, event("")),
		body("one byte over the topic's limit", 1<<20+1, event("")),
		body("the topic's limit, and 60 KB of headers", 1<<20, event("", field("ce-note", text(60_000)))),
		as("a user id", rawamqp.Properties{UserID: User}, with("")),
		as("an event with a user id", rawamqp.Properties{UserID: User}, event("")),
		as("an expiration, and 100 KB of headers", rawamqp.Properties{Expiration: "300000"}, event("", field("note", text(100_000)))),
		as("properties of 255 bytes, and 120 KB of headers", rawamqp.Properties{MessageID: long, Type: long}, with("", field("note", text(120_000)))),
		event("an id of 70,000 bytes", field("ce-id", text(70_000))),
		event("a subject and a key of 50,000 bytes each", field("ce-subject", text(50_000)), field("ce-partitionkey", text(50_000))),
		event("a trace context of 90,000 bytes", field("traceparent", text(90_000)), field("tracestate", text(20_000))),
		with("130,500 bytes of headers: a frame that is full", field("note", text(130_500))),
	}
}

// forged returns headers that only Warren and RabbitMQ write.
func forged() []odd {
	number := func(n uint64) rawamqp.Value { return rawamqp.Number('l', n) }
	return []odd{
		with("a delivery count of 5,000", field("x-delivery-count", number(5000))),
		event("an attempt of 99", field("warren-attempt", number(99))),
		with("an origin in the default exchange", field("warren-origin-exchange", rawamqp.Text("")), field("warren-origin-key", rawamqp.Text("elsewhere"))),
		event("a dead letter", field("warren-dead-letter-reason", rawamqp.Text("rejected")), field("warren-dead-letter-attempts", number(7)), field("warren-dead-letter-exchange", rawamqp.Text("elsewhere"))),
		with("a partition that is no number", field("warren-partition", rawamqp.Text("x"))),
		with("a partition that there is not", field("warren-partition", number(99))),
		with("crashes without number", field("warren-crashes", number(1<<63))),
		with("an acquired count", field("x-acquired-count", rawamqp.Text("many"))),
	}
}
