// Package sidecar is what the example programs share: the connection, an event,
// and what to do about an error.
package sidecar

import (
	"encoding/json"
	"math/rand/v2"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

// tries is how often something is tried, about 10 seconds in all: a program that tries
// for ever hides the cause.
const tries = 10

// Dial connects to the service's own sidecar: same host or pod, hence no TLS.
func Dial(target string) (*grpc.ClientConn, error) {
	return grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

// NewEvent makes an event with a JSON payload.
func NewEvent(id string, payload any) *eventsv1.CloudEvent {
	data, err := json.Marshal(payload)
	if err != nil {
		panic(err) // the examples' payloads are maps of numbers
	}
	return &eventsv1.CloudEvent{
		Id: id, Source: "/clients/go", SpecVersion: "1.0", Type: "com.shop.order.placed",
		Attributes: map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{
			"datacontenttype": {Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: "application/json"}},
		},
		Data: &eventsv1.CloudEvent_BinaryData{BinaryData: data},
	}
}

// Again says whether the same event, with the same id, should be sent again after
// err, and how long to wait before. attempt counts from 0. A limit that asks for no
// delay, such as that of a message's size, is there the next time, too.
func Again(err error, attempt int) (wait time.Duration, ok bool) {
	var asked *errdetails.RetryInfo
	for _, detail := range status.Convert(err).Details() {
		if info, isRetry := detail.(*errdetails.RetryInfo); isRetry {
			asked = info
		}
	}
	switch code := status.Code(err); {
	case attempt+1 >= tries:
		return 0, false
	case code == codes.Unavailable, code == codes.DeadlineExceeded, code == codes.ResourceExhausted && asked != nil:
	default:
		return 0, false
	}
	longest := min(100*time.Millisecond<<min(attempt, 5), 2*time.Second)
	return max(longest/2+rand.N(longest/2), asked.GetRetryDelay().AsDuration()), true
}

// Reason returns what the sidecar says about an error: CONFIRM_TIMEOUT, for
// example, and whether the broker may have the event: "unknown".
func Reason(err error) (reason, outcome string) {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason(), info.GetMetadata()["outcome"]
		}
	}
	return status.Code(err).String(), "unknown"
}
