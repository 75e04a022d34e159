package mapping_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/mapping"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

func TestContentTypeDecidesTheMode(t *testing.T) {
	t.Parallel()
	body := members(`,"data":{"b": 1.0}`)
	const inner = `datacontenttype=String:application/json data={"b": 1.0}`
	attributes := headers{"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/a", "ce-type": "t"}
	packed, err := proto.Marshal(&eventsv1.CloudEvent{Id: "1", Source: "/a", SpecVersion: "1.0", Type: "t", Data: &eventsv1.CloudEvent_TextData{TextData: "hi"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		contentType string
		headers     headers
		body, want  string
	}{
		"structured JSON":                          {"application/cloudevents+json", nil, body, inner},
		"in any case, with parameters":             {" Application/CloudEvents+JSON ; charset=UTF-8", nil, body, inner},
		"without a format":                         {"application/cloudevents", nil, body, inner},
		"structured, attributes again as headers":  {"application/cloudevents+json; charset=utf-8", attributes, body, inner},
		"structured, with another id as header":    {"application/cloudevents+json", headers{"ce-id": "a2"}, body, inner},
		"structured, with another dialect's":       {"application/cloudevents+json", headers{"cloudEvents_id": "a2"}, body, inner},
		"structured, with bare names as headers":   {"application/cloudevents+json", headers{"specversion": "1.0", "id": "x", "source": "x", "type": "x"}, body, inner},
		"structured protobuf":                      {"application/cloudevents+protobuf", attributes, string(packed), "data=hi"},
		"a batch":                                  {"application/cloudevents-batch+json", nil, "[" + body + "]", "error: is a batch"},
		"a batch with parameters":                  {"APPLICATION/cloudevents-batch+JSON; charset=utf-8", attributes, "[]", "error: is a batch"},
		"a batch in protobuf":                      {"application/cloudevents-batch+protobuf", nil, "", "error: is a batch"},
		"another format":                           {"application/cloudevents+avro", attributes, "", "error: is not supported"},
		"binary, with JSON data":                   {"application/json", attributes, `{"b": 1.0}`, inner},
		"plain JSON that looks like an event":      {"application/json", nil, `{"specversion":"1.0"}`, `id=16 source=/amqp/x type=amqp.message datacontenttype=String:application/json data={"specversion":"1.0"}`},
		"binary, with a content type as a header":  {"", headers{"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/a", "ce-type": "t", "ce-datacontenttype": "application/cloudevents+json"}, body, "datacontenttype=String:application/cloudevents+json data=" + body},
		"binary, with HTTP's header":               {"", headers{"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/a", "ce-type": "t", "content-type": "text/plain"}, "x", "datacontenttype=String:text/plain data=x"},
		"binary, with a content type that is none": {"json", attributes, "", `error: "datacontenttype": must be a media type`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &message.Message{Exchange: "x", Properties: message.Properties{ContentType: test.contentType, Headers: table(test.headers), MessageID: "16"}, Body: []byte(test.body)}
			wantEvent(t, m, test.want)
		})
	}
}

func TestDialects(t *testing.T) {
	t.Parallel()
	const want = "count=Integer:7 ok=Boolean:true subject=String:s time=Timestamp:2026-01-02T03:04:05Z"
	for _, prefix := range []string{"ce-", "cloudEvents_", "cloudEvents:", ""} {
		wantEvent(t, binaryMode(prefix, headers{
			prefix + "subject": "s", prefix + "time": "2026-01-02T03:04:05Z", prefix + "count": 7, prefix + "ok": true, "other-header": "x", "x-death": "y",
		}), want)
	}
	for name, test := range map[string]struct {
		in   headers
		want string
	}{
		"the dialect with a version wins":              {headers{"ce-id": "hop", "cloudEvents_specversion": "1.0", "cloudEvents_id": "1", "cloudEvents_source": "/a", "cloudEvents_type": "t"}, ""},
		"an id alone marks it, and must have the rest": {headers{"ce-id": "1"}, `error: "specversion": is missing`},
		"another version":                              {headers{"ce-specversion": "0.3", "ce-id": "1", "ce-source": "/a", "ce-type": "t"}, `error: "specversion": is "0.3"`},
		"no source":                                    {headers{"ce-specversion": "1.0", "ce-id": "1", "ce-type": "t"}, `error: "source": must not be empty`},
		"an empty type":                                {headers{"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/a", "ce-type": ""}, `error: "type": must not be empty`},
		"bare names without a version":                 {headers{"id": "1", "source": "/a", "type": "t"}, "id=m source=/amqp/q type=amqp.message"},
		"bare names with another version":              {headers{"specversion": "2", "id": "1", "source": "/a", "type": "t"}, "id=m source=/amqp/q type=amqp.message"},
		"bare names that lack one":                     {headers{"specversion": "1.0", "id": "1", "source": "/a"}, "id=m source=/amqp/q type=amqp.message"},
		"bare names with empty optional ones":          {headers{"specversion": "1.0", "id": "1", "source": "/a", "type": "t", "subject": "", "dataschema": "", "time": ""}, ""},
		"bare names beside the hop's trace":            {headers{"specversion": "1.0", "id": "1", "source": "/a", "type": "t", "traceparent": "00-hop", "tracestate": "a=b", "baggage": "k=v"}, ""},
		"bare names beside what is no attribute":       {headers{"specversion": "1.0", "id": "1", "source": "/a", "type": "t", "list": raw{'A', ""}, "X_y": "z"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantEvent(t, &message.Message{Properties: message.Properties{Headers: table(test.in), MessageID: "m"}}, test.want)
		})
	}
}

// One rule for both modes: each attribute as an AMQP header and as a JSON member.
func TestBothModesTakeTheSameValues(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		attribute string
		header    any
		member    string // JSON
		want      string
	}{
		"a string":                     {"ext", "v", `"v"`, "ext=String:v"},
		"an empty extension":           {"ext", "", `""`, "ext=String:"},
		"an empty partition key":       {"partitionkey", "", `""`, "partitionkey=String:"},
		"an empty traceparent":         {"traceparent", "", `""`, ""},
		"an empty tracestate":          {"tracestate", "", `""`, ""},
		"an empty traceid":             {"traceid", "", `""`, ""},
		"a null":                       {"ext", nil, `null`, ""},
		"a null subject":               {"subject", nil, `null`, ""},
		"a boolean":                    {"ext", true, `true`, "ext=Boolean:true"},
		"an integer of 32 bits":        {"ext", -7, `-7`, "ext=Integer:-7"},
		"the largest of them":          {"ext", 2147483647, `2147483647`, "ext=Integer:2147483647"},
		"one over it":                  {"ext", 2147483648, `2147483648`, "ext=String:2147483648"},
		"one under the smallest":       {"ext", -2147483649, `-2147483649`, "ext=String:-2147483649"},
		"a sequence in milliseconds":   {"sequence", 1732345678901, `1732345678901`, "sequence=String:1732345678901"},
		"an integer as id":             {"id", 25, `25`, `error: "id": must be a string`},
		"a large integer as id":        {"id", 1732345678901, `1732345678901`, `error: "id": must be a string`},
		"a boolean as source":          {"source", true, `true`, `error: "source": must be a string`},
		"an integer as subject":        {"subject", 5, `5`, `error: "subject": must be a string`},
		"an integer as specversion":    {"specversion", 1, `1`, `error: "specversion": must be a string`},
		"an empty subject":             {"subject", "", `""`, `error: "subject": must not be empty`},
		"an empty dataschema":          {"dataschema", "", `""`, `error: "dataschema": must be a non-empty URI`},
		"an empty datacontenttype":     {"datacontenttype", "", `""`, `error: "datacontenttype": must be a media type`},
		"an empty time":                {"time", "", `""`, `error: "time": `},
		"a time in words":              {"time", "yesterday", `"yesterday"`, `error: "time": `},
		"a time":                       {"time", "2018-04-05T18:31:00.25+01:00", `"2018-04-05T18:31:00.25+01:00"`, "time=Timestamp:2018-04-05T18:31:00.25+01:00"},
		"a time with +0000":            {"time", "2018-04-05T18:31:00+0000", `"2018-04-05T18:31:00+0000"`, "time=Timestamp:2018-04-05T18:31:00Z"},
		"a time in the year 0":         {"time", "0000-01-01T00:00:00Z", `"0000-01-01T00:00:00Z"`, `error: "time": `},
		"an expiry":                    {"expirytime", "2030-01-01T00:00:00Z", `"2030-01-01T00:00:00Z"`, "expirytime=Timestamp:2030-01-01T00:00:00Z"},
		"an expiry that is none":       {"expirytime", "soon", `"soon"`, `error: "expirytime": must be an RFC 3339 timestamp`},
		"a recorded time that is none": {"recordedtime", "soon", `"soon"`, "recordedtime=String:soon"},
		"a data schema":                {"dataschema", "urn:s", `"urn:s"`, "dataschema=URI:urn:s"},
		"a data reference":             {"dataref", "/d", `"/d"`, "dataref=URI-reference:/d"},
		"a control character":          {"ext", "a\x00b", `"a\u0000b"`, `error: "ext": must not contain the control character`},
		"a table":                      {"ext", headers{"a": "b"}, `{"a":"b"}`, `error: "ext": `},
		"a list":                       {"ext", raw{'A', ""}, `[]`, `error: "ext": `},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantEvent(t, binaryMode("ce-", headers{"ce-" + test.attribute: test.header}), test.want)
			members := []string{`"specversion":"1.0"`, `"id":"1"`, `"source":"/a"`, `"type":"t"`}
			own := fmt.Sprintf("%q:%s", test.attribute, test.member)
			replaced := false
			for i := range members {
				if strings.HasPrefix(members[i], fmt.Sprintf("%q:", test.attribute)) {
					members[i], replaced = own, true
				}
			}
			if !replaced {
				members = append(members, own)
			}
			wantEvent(t, structured("{"+strings.Join(members, ",")+"}"), test.want)
		})
	}
}

func TestNativeTypesArriveAsWhatFits(t *testing.T) {
	t.Parallel()
	at := time.Unix(1732345678, 0)
	for name, test := range map[string]struct {
		attribute string
		header    any
		want      string
	}{
		"an 8-bit integer":                {"ext", number('b', -1, 1), "ext=Integer:-1"},
		"an unsigned 8-bit integer":       {"ext", number('B', 255, 1), "ext=Integer:255"},
		"a 16-bit integer":                {"ext", number('s', -2, 2), "ext=Integer:-2"},
		"an unsigned 16-bit integer":      {"ext", number('u', 65535, 2), "ext=Integer:65535"},
		"a 32-bit integer":                {"ext", number('I', -3, 4), "ext=Integer:-3"},
		"an unsigned 32-bit integer":      {"ext", number('i', 4294967295, 4), "ext=String:4294967295"},
		"a 64-bit integer":                {"ext", number('l', 1<<40, 8), "ext=String:1099511627776"},
		"AMQP-CPP's 64-bit integer":       {"ext", number('L', -4, 8), "ext=Integer:-4"},
		"a float":                         {"ext", 1.5, "ext=String:1.5"},
		"a short float":                   {"ext", raw{'f', "\x3f\xc0\x00\x00"}, "ext=String:1.5"},
		"a decimal":                       {"ext", raw{'D', "\x02\x00\x00\x00\x7b"}, "ext=String:1.23"},
		"a float as id":                   {"id", 1.5, `error: "id": must be a string`},
		"a decimal as subject":            {"subject", raw{'D', "\x02\x00\x00\x00\x7b"}, `error: "subject": must be a string`},
		"bytes":                           {"ext", []byte{0, 1, 255}, "ext=Binary:AAH/"},
		"bytes as id":                     {"id", []byte("7"), "id=7"},
		"bytes as subject":                {"subject", []byte("s"), "subject=String:s"},
		"bytes as time":                   {"time", []byte("2018-04-05T18:31:00Z"), "time=Timestamp:2018-04-05T18:31:00Z"},
		"bytes as partition key":          {"partitionkey", []byte("k"), "partitionkey=String:k"},
		"bytes as empty traceparent":      {"traceparent", []byte{}, ""},
		"bytes that are no text as id":    {"id", []byte{255}, `error: "id": must be valid UTF-8`},
		"a timestamp":                     {"ext", at, "ext=Timestamp:2024-11-23T07:07:58Z"},
		"a timestamp as time":             {"time", at, "time=Timestamp:2024-11-23T07:07:58Z"},
		"a timestamp of milliseconds":     {"time", number('T', 1732345678901, 8), "time=Timestamp:2024-11-23T07:07:58.901Z"},
		"an integer of milliseconds":      {"time", 1732345678901, "time=Timestamp:2024-11-23T07:07:58.901Z"},
		"an integer of seconds":           {"time", number('i', 1732345678, 4), "time=Timestamp:2024-11-23T07:07:58Z"},
		"an expiry in milliseconds":       {"expirytime", 1893456000000, "expirytime=Timestamp:2030-01-01T00:00:00Z"},
		"a timestamp out of range":        {"ext", number('T', -1<<63, 8), `error: "ext": `},
		"an integer out of range as time": {"time", 1 << 62, `error: "time": `},
		"a timestamp as subject":          {"subject", at, `error: "subject": must be a string`},
		"a floating-point number as time": {"time", 1.7e9, `error: "time": must be an RFC 3339 timestamp`},
		"a boolean as time":               {"time", true, `error: "time": must be an RFC 3339 timestamp`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, prefix := range []string{"ce-", "cloudEvents_", "cloudEvents:"} {
				wantEvent(t, binaryMode(prefix, headers{prefix + test.attribute: test.header}), test.want)
			}
		})
	}
}

func TestBadNamesCostTheAttributeNotTheEvent(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"event_source", "example-extension", "correlationId", "", "data", "é", "a b", "ID"} {
		m := binaryMode("ce-", headers{"ce-" + name: "x", "ce-good": "y"})
		wantEvent(t, m, "good=String:y")
		if got := fmt.Sprint(mapping.Headers(m)); got != fmt.Sprintf("[{ce-%s x}]", name) {
			t.Errorf("headers are %s", got)
		}
	}
	wantEvent(t, structured(members(`,"event_source":"x"`)), `error: "event_source": attribute names have only a-z and 0-9`)
}

func TestTheLastOfEqualHeadersCounts(t *testing.T) {
	t.Parallel()
	m := binaryMode("ce-", headers{"ce-ext": "first"})
	m.Headers.AddText("ce-ext", "last")
	m.Headers.AddText("ce-id", "2")
	wantEvent(t, m, "id=2 ext=String:last")
}

func TestManyAttributesAreMalformedAtOnce(t *testing.T) {
	t.Parallel()
	m := binaryMode("ce-", nil)
	for i := range 80_000 {
		m.Headers.AddText(fmt.Sprintf("ce-a%d", 80_000-i), "")
	}
	began := time.Now()
	wantEvent(t, m, "error: are more than 1000")
	if took := time.Since(began); took > 5*time.Second { // quadratic time was minutes
		t.Errorf("Event took %v", took)
	}
}

func TestProtobufIsHeldToTheSameRules(t *testing.T) {
	t.Parallel()
	value := func(s string) *eventsv1.CloudEvent_CloudEventAttributeValue {
		return &eventsv1.CloudEvent_CloudEventAttributeValue{Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: s}}
	}
	number := &eventsv1.CloudEvent_CloudEventAttributeValue{Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeInteger{CeInteger: 1}}
	late := &eventsv1.CloudEvent_CloudEventAttributeValue{Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeTimestamp{CeTimestamp: &timestamppb.Timestamp{Seconds: 253402300800}}}
	type attributes = map[string]*eventsv1.CloudEvent_CloudEventAttributeValue
	for name, test := range map[string]struct {
		attributes attributes
		want       string
	}{
		"an empty trace context": {attributes{"traceparent": value(""), "tracestate": value(""), "traceid": value("")}, ""},
		"an empty extension":     {attributes{"ext": value("")}, "ext=String:"},
		"an empty subject":       {attributes{"subject": value("")}, `error: "subject": must not be empty`},
		"a numeric subject":      {attributes{"subject": number}, `error: "subject": must be a string`},
		"a time with +0000":      {attributes{"time": value("2018-04-05T18:31:00+0000")}, "time=Timestamp:2018-04-05T18:31:00Z"},
		"a time in the year 0":   {attributes{"time": value("0000-01-01T00:00:00Z")}, `error: "time": must be an RFC 3339 timestamp`},
		"a time out of range":    {attributes{"ext": late}, `error: "ext": must be a valid timestamp`},
		"an id among attributes": {attributes{"id": value("x")}, `error: "id": is a field of CloudEvent`},
		"a bad name":             {attributes{"event_source": value("x")}, `error: "event_source": attribute names have only`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, err := proto.Marshal(&eventsv1.CloudEvent{Id: "1", Source: "/a", SpecVersion: "1.0", Type: "t", Attributes: test.attributes})
			if err != nil {
				t.Fatal(err)
			}
			wantEvent(t, &message.Message{Properties: message.Properties{ContentType: "application/cloudevents+protobuf"}, Body: body}, test.want)
		})
	}
}

func TestABrokenTableIsTheError(t *testing.T) {
	t.Parallel()
	m := structured(members(""))
	m.Broken = &message.HeadersError{Err: errors.New(`header "x" has a value of unknown type 0x7a`)}
	wantEvent(t, m, `error: header "x" has a value of unknown type 0x7a`)
}

func TestACopyIsToldByItsOrigin(t *testing.T) {
	t.Parallel()
	first := &message.Message{Exchange: "orders", RoutingKey: "k", Body: []byte("x")}
	before, err := mapping.Event(first, "q")
	if err != nil {
		t.Fatal(err)
	}
	again := &message.Message{RoutingKey: "q.retry.1000ms", Body: []byte("x"), Properties: message.Properties{Headers: table(headers{
		mapping.OriginExchange: "orders", mapping.OriginKey: "k",
	})}}
	after, err := mapping.Event(again, "q")
	if err != nil {
		t.Fatal(err)
	}
	if text(before) != text(after) || before.Source != "/amqp/orders" {
		t.Errorf("first %s, as a copy %s", text(before), text(after))
	}
	again.Exchange = "foreign" // what comes by an exchange is nobody's copy
	if e, _ := mapping.Event(again, "q"); e.Source != "/amqp/foreign" {
		t.Errorf("source is %q", e.Source)
	}
}

func TestPlainMessages(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		in   message.Message
		want string
	}{
		"with properties": {
			message.Message{Exchange: "old orders", Body: []byte("<o/>"), Properties: message.Properties{
				MessageID: "m-1", Type: "order", AppID: "legacy/1", ContentType: "text/xml", CorrelationID: "c", Timestamp: 1767323045,
				Headers: table(headers{"id": "no event"}),
			}},
			"id=m-1 source=/amqp/old%20orders/legacy%2F1 type=order correlationid=String:c datacontenttype=String:text/xml time=Timestamp:2026-01-02T03:04:05Z data=<o/>",
		},
		"with a timestamp in milliseconds": {
			message.Message{Properties: message.Properties{MessageID: "m", Timestamp: 1767323045678}},
			"id=m source=/amqp/q type=amqp.message time=Timestamp:2026-01-02T03:04:05.678Z",
		},
		"with properties that cannot be attributes": {
			message.Message{Properties: message.Properties{MessageID: "m", Type: "a\x00", ContentType: "json", CorrelationID: "\xff", Timestamp: 1 << 63}},
			"id=m source=/amqp/q type=amqp.message",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantEvent(t, &test.in, test.want)
		})
	}
}

func TestPlainMessagesHaveAStableID(t *testing.T) {
	t.Parallel()
	id := func(m message.Message) string {
		e, err := mapping.Event(&m, "q")
		if err != nil {
			t.Fatal(err)
		}
		return e.ID
	}
	a := message.Message{Exchange: "x", RoutingKey: "k", Body: []byte("1"), Tag: 1}
	again := a
	again.Tag, again.Redelivered, again.Headers = 7, true, table(headers{"x-delivery-count": 1})
	other := a
	other.Body = []byte("2")
	unclean := a
	unclean.MessageID = "\x00"
	if id(a) != id(again) || id(a) != id(unclean) {
		t.Error("a redelivery has another id")
	}
	if id(a) == id(other) {
		t.Error("another message has the same id")
	}
}
