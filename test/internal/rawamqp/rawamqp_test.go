package rawamqp

import (
	"strings"
	"testing"
)

func whole() Message {
	return Message{Body: []byte{0, 1}, Properties: Properties{
		ContentType: "a/b", ContentEncoding: "gzip", DeliveryMode: 1, Priority: 3, CorrelationID: "c", ReplyTo: "r", Expiration: "60000",
		MessageID: "m", Timestamp: 1 << 63, Type: "t", UserID: "guest", AppID: "erp", ClusterID: "k",
		Headers: []Field{
			{"deep", DeepArray(40)}, {"tables", DeepTable(40)}, {"n", Number('L', 7)}, {"list", Array(Text("x"), Double(1), Raw('V', ""), Table(Field{"l", Number('L', 1)}))},
			{strings.Repeat("n", 255), Bool(true)}, {"twice", Text("1")}, {"twice", Text("2")},
		},
	}}
}

func TestPropertiesAreReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	m := whole()
	p, err := parseProperties(m.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if lost := m.Lost(&Message{Properties: p, Body: m.Body}); len(lost) > 0 {
		t.Errorf("lost: %q", lost)
	}
	if string(p.Encode()) != string(m.Encode()) {
		t.Error("written again it is not the same")
	}
	for n := range len(m.Encode()) {
		if _, err := parseProperties(m.Encode()[:n]); err == nil {
			t.Errorf("the first %d bytes are properties, too", n)
			break
		}
	}
}

func TestACopyMayHaveMoreAndNotLess(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Message){
		"nothing": func(*Message) {},
		"headers of Warren and the broker": func(m *Message) {
			m.Headers = append(m.Headers, Field{"warren-attempt", Number('l', 2)}, Field{"x-death", Array()})
		},
		"a 64-bit integer as the broker writes it": func(m *Message) {
			m.Headers[2].Value, m.Headers[3].Value = m.Headers[2].Value.AsBroker(), m.Headers[3].Value.AsBroker()
		},
		"an expiration in a header": func(m *Message) {
			m.Expiration = ""
			m.Headers = append(m.Headers, Field{"warren-expiration", Text("60000")})
		},
		"a delivery that lasts": func(m *Message) { m.DeliveryMode = 2 },
	} {
		sent, got := whole(), whole()
		if change(&got); len(sent.Lost(&got)) > 0 {
			t.Errorf("%s: lost %q", name, sent.Lost(&got))
		}
	}
	for name, change := range map[string]func(*Message){
		"a byte of the body":       func(m *Message) { m.Body[0] = 9 },
		"a property":               func(m *Message) { m.ReplyTo = "" },
		"a user id, unsaid":        func(m *Message) { m.UserID = "" },
		"a priority":               func(m *Message) { m.Priority = 0 },
		"a header":                 func(m *Message) { m.Headers = m.Headers[1:] },
		"one of two of a name":     func(m *Message) { m.Headers = m.Headers[:6] },
		"a header's type":          func(m *Message) { m.Headers[2].Value = Number('I', 7) },
		"a header's depth":         func(m *Message) { m.Headers[0].Value = DeepArray(39) },
		"a header that nobody set": func(m *Message) { m.Headers = append(m.Headers, Field{"more", Text("x")}) },
	} {
		sent, got := whole(), whole()
		if change(&got); len(sent.Lost(&got)) == 0 {
			t.Errorf("%s is missing or too much, and nothing is said", name)
		}
	}
}
