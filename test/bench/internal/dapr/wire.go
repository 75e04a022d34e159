package dapr

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Methods of the service dapr.proto.runtime.v1.Dapr.
const (
	publishMethod   = "/dapr.proto.runtime.v1.Dapr/PublishEvent"
	bulkMethod      = "/dapr.proto.runtime.v1.Dapr/BulkPublishEventAlpha1"
	subscribeMethod = "/dapr.proto.runtime.v1.Dapr/SubscribeTopicEventsAlpha1"
)

// codec passes messages that are encoded already. Its name is that of protobuf's codec,
// which is what is on the wire.
type codec struct{}

func (codec) Name() string { return "proto" }

func (codec) Marshal(v any) ([]byte, error) {
	b, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("encode a %T, want encoded bytes", v)
	}
	return *b, nil
}

func (codec) Unmarshal(data []byte, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("decode into a %T, want bytes", v)
	}
	*b = append((*b)[:0], data...)
	return nil
}

func text(b []byte, field protowire.Number, value string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), value)
}

func data(b []byte, field protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), value)
}

// publishRequest appends a PublishEventRequest: pubsub_name, topic, data,
// data_content_type.
func publishRequest(b []byte, pubsub, topic, contentType string, body []byte) []byte {
	return text(data(text(text(b, 1, pubsub), 2, topic), 3, body), 4, contentType)
}

// bulkEntry appends a BulkPublishRequestEntry: entry_id, event, content_type.
func bulkEntry(b []byte, id, contentType string, body []byte) []byte {
	return text(data(text(b, 1, id), 2, body), 3, contentType)
}

// bulkRequest appends a BulkPublishRequest: pubsub_name, topic, entries.
func bulkRequest(b []byte, pubsub, topic string, entries [][]byte) []byte {
	b = text(text(b, 1, pubsub), 2, topic)
	for _, entry := range entries {
		b = data(b, 3, entry)
	}
	return b
}

// bulkFailure returns the first failed entry of a BulkPublishResponse as an error. Field
// 1 has the failed entries, each with entry_id and error.
func bulkFailure(response []byte) error {
	return fields(response, func(field protowire.Number, value []byte) error {
		if field != 1 {
			return nil
		}
		var id, why string
		err := fields(value, func(field protowire.Number, value []byte) error {
			switch field {
			case 1:
				id = string(value)
			case 2:
				why = string(value)
			}
			return nil
		})
		if err != nil {
			return err
		}
		return fmt.Errorf("publish entry %s: %s", id, why)
	})
}

// initial is a SubscribeTopicEventsRequestAlpha1 whose initial_request has pubsub_name
// and topic.
func initial(pubsub, topic string) []byte { return data(nil, 1, text(text(nil, 1, pubsub), 2, topic)) }

// processed appends a SubscribeTopicEventsRequestAlpha1 whose event_processed has the id,
// and a status of SUCCESS, which is 0.
func processed(b []byte, id string) []byte { return data(b, 2, data(text(nil, 1, id), 2, nil)) }

// topicEvent is what is read of a TopicEventRequest: id and data.
type topicEvent struct {
	id   string
	body []byte // of the response
}

// subscribed reads a SubscribeTopicEventsResponseAlpha1: initial_response or
// event_message.
func subscribed(response []byte) (e topicEvent, isEvent bool, err error) {
	err = fields(response, func(field protowire.Number, value []byte) error {
		if field != 2 {
			return nil
		}
		isEvent = true
		return fields(value, func(field protowire.Number, value []byte) error {
			switch field {
			case 1:
				e.id = string(value)
			case 7:
				e.body = value
			}
			return nil
		})
	})
	return e, isEvent, err
}

// fields calls do for every field of a message that has a length. It skips the others.
func fields(message []byte, do func(field protowire.Number, value []byte) error) error {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return fmt.Errorf("read an answer of Dapr: %w", protowire.ParseError(n))
		}
		message = message[n:]
		if kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(field, kind, message); n < 0 {
				return fmt.Errorf("read an answer of Dapr: %w", protowire.ParseError(n))
			}
			message = message[n:]
			continue
		}
		value, n := protowire.ConsumeBytes(message)
		if n < 0 {
			return fmt.Errorf("read an answer of Dapr: %w", protowire.ParseError(n))
		}
		if err := do(field, value); err != nil {
			return err
		}
		message = message[n:]
	}
	return nil
}
