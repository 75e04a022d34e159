// Package rpcerr makes the gRPC errors of the event API. Every error carries one
// google.rpc.ErrorInfo with domain "warrenmesh.io"; the reasons are listed here
// and nowhere else. It is the only place where broker errors become gRPC codes.
//
// ErrorInfo.metadata["outcome"] says what happened to the event: "unknown" (the broker may
// have it: repeat it with the same id), "not_sent" (nothing was written) or "failed" (it
// was written, and the broker certainly does not have it).
package rpcerr

import (
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/warrenmesh/warren/proxy/broker"
)

// Domain of every ErrorInfo.
const Domain = "warrenmesh.io"

// Reasons of ErrorInfo.
const (
	InvalidEvent        = "INVALID_EVENT"
	InvalidRequest      = "INVALID_REQUEST"
	EventExpired        = "EVENT_EXPIRED"
	EventTooLarge       = "EVENT_TOO_LARGE"
	TopicNotFound       = "TOPIC_NOT_FOUND"
	SubscriptionUnknown = "SUBSCRIPTION_NOT_FOUND"
	ExchangeNotFound    = "EXCHANGE_NOT_FOUND"
	Unroutable          = "UNROUTABLE"
	TopologyConflict    = "TOPOLOGY_CONFLICT"
	AccessRefused       = "BROKER_ACCESS_REFUSED"
	BufferFull          = "BUFFER_FULL"
	TooManyStreams      = "TOO_MANY_STREAMS"
	BrokerBlocked       = "BROKER_BLOCKED"
	BrokerUnavailable   = "BROKER_UNAVAILABLE"
	ConfigNotReady      = "CONFIG_NOT_READY"
	Draining            = "DRAINING"
	ConfirmTimeout      = "CONFIRM_TIMEOUT"
	ConnectionLost      = "CONNECTION_LOST"
	PublishNacked       = "PUBLISH_NACKED"
	DeadlineNear        = "DEADLINE_NEAR"
	SubscriptionChanged = "SUBSCRIPTION_CHANGED"
	AckIDInvalid        = "ACK_ID_INVALID"
)

// retryDelay is what RetryInfo suggests; short, because the sidecar reconnects
// within milliseconds once the broker is back.
const retryDelay = 200 * time.Millisecond

// New makes an error with one ErrorInfo. Metadata are key-value pairs.
func New(code codes.Code, reason, message string, metadata ...string) error {
	return with(code, reason, message, metadata)
}

func with(code codes.Code, reason, message string, metadata []string, details ...protoadapt.MessageV1) error {
	info := &errdetails.ErrorInfo{Reason: reason, Domain: Domain}
	if len(metadata) > 1 {
		info.Metadata = make(map[string]string, len(metadata)/2)
		for i := 0; i+1 < len(metadata); i += 2 {
			info.Metadata[metadata[i]] = metadata[i+1]
		}
	}
	st := status.New(code, message)
	detailed, err := st.WithDetails(append([]protoadapt.MessageV1{info}, details...)...)
	if err != nil {
		return st.Err() // only for codes.OK, which no caller passes
	}
	return detailed.Err()
}

// Field is an INVALID_ARGUMENT that names the request's field; nothing was sent.
func Field(reason, field, description string) error {
	return with(codes.InvalidArgument, reason, field+": "+description, []string{"field", field, "outcome", broker.NotSent.String()},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: field, Description: description}}})
}

// NotFound says that something named in the request does not exist.
func NotFound(reason, resourceType, name, message string) error {
	return with(codes.NotFound, reason, message, []string{"outcome", broker.NotSent.String()},
		&errdetails.ResourceInfo{ResourceType: resourceType, ResourceName: name, Description: message})
}

// Unavailable is an UNAVAILABLE before anything was sent.
func Unavailable(reason, message string) error {
	return with(codes.Unavailable, reason, message, []string{"outcome", broker.NotSent.String()}, retryInfo())
}

// Exhausted is a RESOURCE_EXHAUSTED before anything was sent.
func Exhausted(reason, message string) error {
	return with(codes.ResourceExhausted, reason, message, []string{"outcome", broker.NotSent.String()}, retryInfo(),
		&errdetails.QuotaFailure{Violations: []*errdetails.QuotaFailure_Violation{{Subject: "sidecar", Description: message}}})
}

// Reason returns the reason of the error's ErrorInfo, "" when it has none.
func Reason(err error) string { return info(err).GetReason() }

// Metadata returns one value of the error's ErrorInfo.
func Metadata(err error, key string) string { return info(err).GetMetadata()[key] }

// Pushback returns what a RESOURCE_EXHAUSTED says about when to come again. Other
// errors say nothing: a client's own policy knows better when an UNAVAILABLE is over.
func Pushback(err error) (time.Duration, bool) {
	st := status.Convert(err)
	if st.Code() != codes.ResourceExhausted {
		return 0, false
	}
	for _, d := range st.Details() {
		if r, ok := d.(*errdetails.RetryInfo); ok {
			return r.GetRetryDelay().AsDuration(), true
		}
	}
	return 0, false
}

func info(err error) *errdetails.ErrorInfo {
	for _, d := range status.Convert(err).Details() {
		if i, ok := d.(*errdetails.ErrorInfo); ok {
			return i
		}
	}
	return nil
}

func retryInfo() *errdetails.RetryInfo {
	return &errdetails.RetryInfo{RetryDelay: durationpb.New(retryDelay)}
}
