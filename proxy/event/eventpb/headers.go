package eventpb

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/broker"
)

// HeadersToProto converts the headers beside an event. Of equal names the last counts,
// and bytes of a name that are not UTF-8 are replaced. Both occur only in messages of
// other clients.
func HeadersToProto(headers []broker.Header) map[string]*eventsv1.HeaderValue {
	if len(headers) == 0 {
		return nil
	}
	out := make(map[string]*eventsv1.HeaderValue, len(headers))
	for _, h := range headers {
		out[strings.ToValidUTF8(h.Name, "\ufffd")] = headerToProto(h.Value)
	}
	return out
}

func headerToProto(v any) *eventsv1.HeaderValue {
	switch v := v.(type) {
	case bool:
		return &eventsv1.HeaderValue{Value: &eventsv1.HeaderValue_BoolValue{BoolValue: v}}
	case int64:
		return &eventsv1.HeaderValue{Value: &eventsv1.HeaderValue_IntValue{IntValue: v}}
	case float64:
		return &eventsv1.HeaderValue{Value: &eventsv1.HeaderValue_DoubleValue{DoubleValue: v}}
	case string:
		return &eventsv1.HeaderValue{Value: &eventsv1.HeaderValue_StringValue{StringValue: strings.ToValidUTF8(v, "\ufffd")}}
	case []byte:
		return &eventsv1.HeaderValue{Value: &eventsv1.HeaderValue_BytesValue{BytesValue: v}}
	case time.Time:
		return &eventsv1.HeaderValue{Value: &eventsv1.HeaderValue_TimestampValue{TimestampValue: timestamppb.New(v)}}
	case []any:
		list := &eventsv1.HeaderList{Values: make([]*eventsv1.HeaderValue, len(v))}
		for i := range v {
			list.Values[i] = headerToProto(v[i])
		}
		return &eventsv1.HeaderValue{Value: &eventsv1.HeaderValue_ListValue{ListValue: list}}
	case []broker.Header:
		return &eventsv1.HeaderValue{Value: &eventsv1.HeaderValue_TableValue{TableValue: &eventsv1.HeaderTable{Headers: HeadersToProto(v)}}}
	default:
		return &eventsv1.HeaderValue{Value: &eventsv1.HeaderValue_NullValue{NullValue: structpb.NullValue_NULL_VALUE}}
	}
}

// maxHeaderDepth bounds nested lists and tables; drivers have bounds of their own.
const maxHeaderDepth = 32

// HeadersFromProto is the inverse of HeadersToProto; the headers are sorted by name.
// The error names a header that has no value, or a value that AMQP cannot carry.
func HeadersFromProto(headers map[string]*eventsv1.HeaderValue) ([]broker.Header, error) {
	return headersFromProto(headers, 0)
}

func headersFromProto(headers map[string]*eventsv1.HeaderValue, depth int) ([]broker.Header, error) {
	if headers == nil {
		return nil, nil
	}
	out := make([]broker.Header, 0, len(headers))
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		v, err := headerFromProto(headers[name], depth)
		if err != nil {
			return nil, &HeaderError{Name: name, Reason: err.Error()}
		}
		out = append(out, broker.Header{Name: name, Value: v})
	}
	return out, nil
}

// HeaderError says which header is wrong and why.
type HeaderError struct{ Name, Reason string }

// Error implements error.
func (e *HeaderError) Error() string { return fmt.Sprintf("header %q: %s", e.Name, e.Reason) }

func headerFromProto(p *eventsv1.HeaderValue, depth int) (any, error) {
	if depth > maxHeaderDepth {
		return nil, fmt.Errorf("is nested deeper than %d levels", maxHeaderDepth)
	}
	switch v := p.GetValue().(type) {
	case *eventsv1.HeaderValue_BoolValue:
		return v.BoolValue, nil
	case *eventsv1.HeaderValue_IntValue:
		return v.IntValue, nil
	case *eventsv1.HeaderValue_DoubleValue:
		return v.DoubleValue, nil
	case *eventsv1.HeaderValue_StringValue:
		return v.StringValue, nil
	case *eventsv1.HeaderValue_BytesValue:
		return v.BytesValue, nil
	case *eventsv1.HeaderValue_TimestampValue:
		t := v.TimestampValue.AsTime()
		if v.TimestampValue.CheckValid() != nil || t.Nanosecond() != 0 || t.Unix() < 0 {
			return nil, fmt.Errorf("must be a time in whole seconds from 1970 to 9999; others can be written as text")
		}
		return t, nil
	case *eventsv1.HeaderValue_ListValue:
		list := make([]any, len(v.ListValue.GetValues()))
		for i, item := range v.ListValue.GetValues() {
			var err error
			if list[i], err = headerFromProto(item, depth+1); err != nil {
				return nil, err
			}
		}
		return list, nil
	case *eventsv1.HeaderValue_TableValue:
		table, err := headersFromProto(v.TableValue.GetHeaders(), depth+1)
		if table == nil {
			table = []broker.Header{}
		}
		return table, err
	case *eventsv1.HeaderValue_NullValue:
		return nil, nil
	default:
		return nil, fmt.Errorf("must have a value")
	}
}
