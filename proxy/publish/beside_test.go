package publish_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
)

func word(s string) *eventsv1.HeaderValue {
	return &eventsv1.HeaderValue{Value: &eventsv1.HeaderValue_StringValue{StringValue: s}}
}

func list(items ...*eventsv1.HeaderValue) *eventsv1.HeaderValue {
	return &eventsv1.HeaderValue{Value: &eventsv1.HeaderValue_ListValue{ListValue: &eventsv1.HeaderList{Values: items}}}
}

func instant(seconds int64, nanos int32) *eventsv1.HeaderValue {
	return &eventsv1.HeaderValue{Value: &eventsv1.HeaderValue_TimestampValue{TimestampValue: &timestamppb.Timestamp{Seconds: seconds, Nanos: nanos}}}
}

// allowing makes the topic of a rig allow headers.
func allowing(entries ...string) func(*mesh.Rule) {
	return func(r *mesh.Rule) { r.Backends[0].Destination.Headers = mesh.NewHeaderList(entries) }
}

func TestWhatTravelsBesideAnEventIsPublished(t *testing.T) {
	t.Parallel()
	r := newRig(t, allowing("tenant", "app-*", "reply_to", "content_encoding"))
	headers := map[string]*eventsv1.HeaderValue{
		"tenant":    word("acme"),
		"app-bool":  {Value: &eventsv1.HeaderValue_BoolValue{BoolValue: true}},
		"app-int":   {Value: &eventsv1.HeaderValue_IntValue{IntValue: 1 << 40}},
		"app-float": {Value: &eventsv1.HeaderValue_DoubleValue{DoubleValue: 1.5}},
		"app-bytes": {Value: &eventsv1.HeaderValue_BytesValue{BytesValue: []byte{255}}},
		"app-time":  instant(7, 0),
		"app-null":  {Value: &eventsv1.HeaderValue_NullValue{NullValue: structpb.NullValue_NULL_VALUE}},
		"app-list":  list(word("a"), list()),
		"app-table": {Value: &eventsv1.HeaderValue_TableValue{TableValue: &eventsv1.HeaderTable{Headers: map[string]*eventsv1.HeaderValue{"ce-in": word("x")}}}},
	}
	want := []broker.Header{
		{Name: "app-bool", Value: true}, {Name: "app-bytes", Value: []byte{255}}, {Name: "app-float", Value: 1.5}, {Name: "app-int", Value: int64(1 << 40)},
		{Name: "app-list", Value: []any{"a", []any{}}}, {Name: "app-null", Value: nil}, {Name: "app-table", Value: []broker.Header{{Name: "ce-in", Value: "x"}}},
		{Name: "app-time", Value: time.Unix(7, 0).UTC()}, {Name: "tenant", Value: "acme"},
	}
	if _, err := r.Publish(t.Context(), &eventsv1.PublishRequest{
		Topic: "orders", Event: numbered(1), Headers: headers, ReplyTo: "rpc.q", ContentEncoding: "gzip",
	}); err != nil {
		t.Fatal(err)
	}
	res, err := r.PublishBatch(t.Context(), &eventsv1.PublishBatchRequest{Topic: "orders", Entries: []*eventsv1.PublishBatchEntry{
		{Event: numbered(2), Headers: headers, ReplyTo: "rpc.q", ContentEncoding: "gzip"},
	}})
	if err != nil || res.GetResults()[0].GetStatus() != nil {
		t.Fatalf("batch: %v, %v", res, err)
	}
	s, _ := openStream(t, r.service)
	put(t, s, &eventsv1.PublishStreamEntry{RequestId: 1, Event: numbered(3), Headers: headers, ReplyTo: "rpc.q", ContentEncoding: "gzip"})
	if got, err := results(t, s, 1); err != nil || got[1].GetStatus() != nil {
		t.Fatalf("stream: %v, %v", got, err)
	}
	queued := r.broker.Peek("q", 10)
	if len(queued) != 3 {
		t.Fatalf("%d messages in the queue, want 3", len(queued))
	}
	for _, d := range queued {
		if !reflect.DeepEqual(d.Headers, want) || d.ReplyTo != "rpc.q" || d.ContentEncoding != "gzip" {
			t.Errorf("event %s has\n%#v %q %q, want\n%#v", d.Event.ID, d.Headers, d.ReplyTo, d.ContentEncoding, want)
		}
	}
}

func TestWhatMayNotTravelBesideAnEventIsRefused(t *testing.T) {
	t.Parallel()
	headers := func(name string, v *eventsv1.HeaderValue) *eventsv1.PublishRequest {
		return &eventsv1.PublishRequest{Headers: map[string]*eventsv1.HeaderValue{name: v}}
	}
	nested := word("x")
	for range 40 {
		nested = list(nested)
	}
	for name, test := range map[string]struct {
		allowed []string
		req     *eventsv1.PublishRequest
		field   string
	}{
		"any header, by default":       {nil, headers("tenant", word("acme")), "headers.tenant"},
		"a header that is not listed":  {[]string{"other", "app-*"}, headers("tenant", word("acme")), "headers.tenant"},
		"an attribute":                 {[]string{"*"}, headers("ce-id", word("2")), "headers.ce-id"},
		"an attribute's other dialect": {[]string{"*"}, headers("cloudEvents:id", word("2")), "headers.cloudEvents:id"},
		"a header of Warren's":         {[]string{"*"}, headers("warren-attempt", word("2")), "headers.warren-attempt"},
		"a header of the broker's":     {[]string{"*"}, headers("x-delay", word("2")), "headers.x-delay"},
		"the trace of the hop":         {[]string{"*"}, headers("traceparent", word("2")), "headers.traceparent"},
		"what RabbitMQ routes by":      {[]string{"*"}, headers("BCC", list(word("other.queue"))), "headers.BCC"},
		"a header named as a property": {[]string{"*", "reply_to"}, headers("reply_to", word("q")), "headers.reply_to"},
		"no name":                      {[]string{"*"}, headers("", word("2")), "headers."},
		"a name that is too long":      {[]string{"*"}, headers(strings.Repeat("n", 30_000), word("2")), "headers." + strings.Repeat("n", 64) + "…"},
		"no value":                     {[]string{"*"}, headers("h", nil), "headers.h"},
		"an empty value":               {[]string{"*"}, headers("h", &eventsv1.HeaderValue{}), "headers.h"},
		"no value in a list":           {[]string{"*"}, headers("h", list(nil)), "headers.h"},
		"values nested too deep":       {[]string{"*"}, headers("h", nested), "headers.h"},
		"a fraction of a second":       {[]string{"*"}, headers("h", instant(1, 1)), "headers.h"},
		"a time before 1970":           {[]string{"*"}, headers("h", instant(-1, 0)), "headers.h"},
		"a time of no year":            {[]string{"*"}, headers("h", instant(1<<60, 0)), "headers.h"},
		"headers that are too large":   {[]string{"*"}, headers("h", word(strings.Repeat("x", 64<<10))), "headers"},
		"reply_to, by default":         {[]string{"*"}, &eventsv1.PublishRequest{ReplyTo: "q"}, "reply_to"},
		"a reply_to that is too long":  {[]string{"reply_to"}, &eventsv1.PublishRequest{ReplyTo: strings.Repeat("q", 256)}, "reply_to"},
		"RabbitMQ's direct reply-to":   {[]string{"reply_to"}, &eventsv1.PublishRequest{ReplyTo: "amq.rabbitmq.reply-to"}, "reply_to"},
		"content_encoding, by default": {[]string{"*", "reply_to"}, &eventsv1.PublishRequest{ContentEncoding: "gzip"}, "content_encoding"},
		"one that is too long":         {[]string{"content_encoding"}, &eventsv1.PublishRequest{ContentEncoding: strings.Repeat("q", 256)}, "content_encoding"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, allowing(test.allowed...))
			test.req.Topic, test.req.Event = "orders", numbered(1)
			_, err := r.Publish(t.Context(), test.req)
			if status.Code(err) != codes.InvalidArgument || violation(err) != test.field {
				t.Errorf("Publish: %v, about %q, want INVALID_ARGUMENT about %q", err, violation(err), test.field)
			}
			if n := len(status.Convert(err).Message()); n > 1000 {
				t.Errorf("the error has %d bytes", n)
			}
		})
	}
}

// violation is the field that an error is about.
func violation(err error) string {
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok && len(bad.GetFieldViolations()) > 0 {
			return bad.GetFieldViolations()[0].GetField()
		}
	}
	return ""
}
