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

// Calls wait for a sidecar that is starting, within their deadline.
const serviceConfig = `{"methodConfig": [{"name": [{"service": "warren.events.v1.EventService"}], "waitForReady": true}]}`

// Dial connects to the service's own sidecar: same host or pod, hence no TLS.
func Dial(target string) (*grpc.ClientConn, error) {
	return grpc.NewClient(target,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(serviceConfig))
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
// err, and how long to wait before. attempt counts from 0.
func Again(err error, attempt int) (wait time.Duration, ok bool) {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted:
	default:
		return 0, false
	}
	longest := min(100*time.Millisecond<<min(attempt, 5), 2*time.Second)
	wait = longest/2 + rand.N(longest/2)
	for _, detail := range status.Convert(err).Details() {
		if info, isRetry := detail.(*errdetails.RetryInfo); isRetry {
			wait = max(wait, info.GetRetryDelay().AsDuration())
		}
	}
	return wait, true
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
