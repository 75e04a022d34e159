package load

import (
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/client"
	"github.com/warrenmesh/warren/test/faults/history"
)

// The attributes with an event's place in the order.
const (
	// KeyAttribute is the default key of a partitioned topic.
	KeyAttribute = "partitionkey"
	seqAttribute = "sequence"
)

// numbered is one event of a publisher.
type numbered struct {
	id, key string
	seq     uint64
	repeat  uint32
}

// counter makes the events of one publisher. Its keys alternate.
type counter struct {
	name string
	keys int
	n    uint64
}

func (c *counter) next() numbered {
	key, seq := c.n%uint64(c.keys), c.n/uint64(c.keys)+1
	c.n++
	k := fmt.Sprintf("%s.%d", c.name, key)
	return numbered{id: fmt.Sprintf("%s-%d", k, seq), key: k, seq: seq}
}

func text(s string) *eventsv1.CloudEvent_CloudEventAttributeValue {
	return client.Text(s)
}

// proto is the event in the form in which it is published.
func (n numbered) proto(kind string, data []byte) *eventsv1.CloudEvent {
	return &eventsv1.CloudEvent{
		Id: n.id, Source: "/faults", SpecVersion: "1.0", Type: kind,
		Attributes: map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{
			KeyAttribute: text(n.key), seqAttribute: text(strconv.FormatUint(n.seq, 10)),
		},
		Data: &eventsv1.CloudEvent_BinaryData{BinaryData: data},
	}
}

// keyOf returns an event's key; "" when it has none.
func keyOf(e *eventsv1.CloudEvent) string { return e.GetAttributes()[KeyAttribute].GetCeString() }

// seqOf returns an event's seq; 0 when it has none.
func seqOf(e *eventsv1.CloudEvent) uint64 {
	n, _ := strconv.ParseUint(e.GetAttributes()[seqAttribute].GetCeString(), 10, 64)
	return n
}

// Classify says what a publish error means for the event. By the API's contract a
// failure says so when the event may have been written. An error that no sidecar made
// (a broken connection, the client's own deadline) means that the outcome is unknown.
func Classify(err error) history.Answer {
	if err == nil {
		return history.Answer{Result: history.OK}
	}
	return classify(status.Convert(err))
}

func classify(s *status.Status) history.Answer {
	a := history.Answer{Result: history.Unknown, Code: s.Code().String()}
	if s.Code() == codes.ResourceExhausted && strings.Contains(s.Message(), "larger than max") {
		// This is gRPC's own limit, on either side: the sidecar never handled the
		// message.
		return history.Answer{Result: history.Failed, Code: a.Code, Reason: "GRPC_MESSAGE_TOO_LARGE"}
	}
	if e := client.Explain(s.Err(), true); e.Reason != "" {
		a.Reason = e.Reason
		if e.Outcome != client.Unknown {
			a.Result = history.Failed
		}
	}
	return a
}
