// Package rpcerr turns refusals into gRPC errors, for the doors that speak gRPC. Every
// error with a reason carries one google.rpc.ErrorInfo with domain "warrenmesh.io". It is the only
// place where a refusal gets a code.
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

	"github.com/warrenmesh/warren/proxy/refusal"
)

// Domain of every ErrorInfo.
const Domain = "warrenmesh.io"

// code is the gRPC code of a class. Only Unavailable is what clients repeat by
// themselves.
func code(c refusal.Class) codes.Code {
	switch c {
	case refusal.Invalid:
		return codes.InvalidArgument
	case refusal.NotFound:
		return codes.NotFound
	case refusal.Precondition:
		return codes.FailedPrecondition
	case refusal.Denied:
		return codes.PermissionDenied
	case refusal.Exhausted:
		return codes.ResourceExhausted
	case refusal.Unavailable:
		return codes.Unavailable
	case refusal.Deadline:
		return codes.DeadlineExceeded
	default:
		return codes.Internal
	}
}

// From returns err as gRPC answers it. What is no refusal passes unchanged: it is a gRPC
// status already, or gRPC makes one of it.
func From(err error) error {
	e := refusal.Of(err)
	if e == nil {
		return err
	}
	if e.Reason == "" {
		return status.Error(code(e.Class), e.Text)
	}
	info := &errdetails.ErrorInfo{Reason: e.Reason, Domain: Domain, Metadata: map[string]string{}}
	if !e.Eventless {
		info.Metadata["outcome"] = e.Outcome.String()
	}
	details := []protoadapt.MessageV1{info}
	if e.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)})
	}
	switch {
	case e.Field != "":
		info.Metadata["field"] = e.Field
		details = append(details, &errdetails.BadRequest{
			FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: e.Field, Description: e.FieldText}},
		})
	case e.Resource != "":
		details = append(details, &errdetails.ResourceInfo{ResourceType: e.ResourceType, ResourceName: e.Resource, Description: e.Text})
	case e.Violated != "":
		details = append(details, &errdetails.PreconditionFailure{
			Violations: []*errdetails.PreconditionFailure_Violation{{Type: e.Reason, Subject: e.Violated, Description: "no queue is bound for this routing key"}},
		})
	case e.Limit:
		details = append(details, &errdetails.QuotaFailure{Violations: []*errdetails.QuotaFailure_Violation{{Subject: "sidecar", Description: e.Text}}})
	}
	st := status.New(code(e.Class), e.Text)
	detailed, err := st.WithDetails(details...)
	if err != nil {
		return st.Err() // only for codes.OK, which no class has
	}
	return detailed.Err()
}

// Reason returns the reason of the error's ErrorInfo, "" when it has none.
func Reason(err error) string { return info(err).GetReason() }

// Metadata returns one value of the error's ErrorInfo.
func Metadata(err error, key string) string { return info(err).GetMetadata()[key] }

// Pushback returns what a RESOURCE_EXHAUSTED says about when to come again. Other
// errors say nothing: a client's own policy knows better when an UNAVAILABLE is over.
func Pushback(err error) (time.Duration, bool) {
	e := refusal.Of(err)
	if e == nil || e.Class != refusal.Exhausted || e.RetryAfter <= 0 {
		return 0, false
	}
	return e.RetryAfter, true
}

func info(err error) *errdetails.ErrorInfo {
	for _, d := range status.Convert(err).Details() {
		if i, ok := d.(*errdetails.ErrorInfo); ok {
			return i
		}
	}
	return nil
}
