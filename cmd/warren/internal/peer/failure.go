package peer

import (
	"errors"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"

	"github.com/warrenmesh/warren/client"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
	"github.com/warrenmesh/warren/proxy/refusal"
)

// Unreachable is the reason of a failure that no peer answered; it stands where
// the sidecar's own reasons do.
const Unreachable = client.Unreachable

// Failure is what a person and a script should know of a failed call.
type Failure struct {
	Code    string // "NOT_FOUND", as in the gRPC documentation
	Reason  string // of the ErrorInfo, or Unreachable; may be empty
	Outcome string // "not_sent", "failed", "unknown"; empty when it does not matter
	Message string
	// RetryAfter is what the peer asks for; 0 when it says nothing.
	RetryAfter time.Duration
	// Retryable says that the same call may succeed later and does no harm: the
	// code is UNAVAILABLE, or the peer itself said when to come back.
	Retryable bool
}

// Explain reads a call's error, of package client or of gRPC; its texts, which are the
// peer's, can be printed. Nil gives the zero Failure. Reached tells whether a connection
// was found for the call; package client knows it better.
func Explain(err error, reached bool) Failure {
	if err == nil {
		return Failure{}
	}
	var e *client.Error
	if !errors.As(err, &e) {
		e = client.Explain(err, reached)
	}
	f := Failure{
		Code: code.Code(e.Code).String(), Reason: terminal.Printable(e.Reason), Outcome: e.Outcome.String(),
		Message: terminal.Printable(e.Message), RetryAfter: e.RetryAfter,
		Retryable: e.Code == codes.Unavailable || e.Code == codes.ResourceExhausted && e.RetryAfter > 0,
	}
	if f.Reason == Unreachable {
		f.Message = "no connection: " + dialError(f.Message)
	}
	return f
}

// dialError takes gRPC's own wording off the error of the operating system.
func dialError(message string) string {
	if _, cause, found := strings.Cut(message, "Error while dialing: "); found {
		return strings.TrimSuffix(cause, `"`)
	}
	return message
}

// Title is the failure in a few words: code and reason.
func (f Failure) Title() string {
	return strings.TrimSpace(f.Code + " " + f.Reason)
}

// permanent are the codes of what a repetition cannot change.
var permanent = map[string]bool{
	"NOT_FOUND": true, "INVALID_ARGUMENT": true, "FAILED_PRECONDITION": true, "PERMISSION_DENIED": true, "UNIMPLEMENTED": true,
}

// OutcomeText says in words what became of the event, "" when there is nothing to
// say.
func (f Failure) OutcomeText() string {
	switch f.Outcome {
	case client.Unknown.String():
		return "outcome unknown: the broker may have it; repeat with the same id"
	case client.NotSent.String():
		if permanent[f.Code] {
			return "not sent; it fails again until that is put right"
		}
		return "not sent: safe to repeat"
	case client.Failed.String():
		return "the broker does not have it"
	default:
		return ""
	}
}

// hints say what to do, by reason.
var hints = map[string]string{
	refusal.TopicNotFound:       "warren status lists the topics there are; another namespace's is written namespace/topic",
	refusal.SubscriptionUnknown: "warren status lists the subscriptions there are; its selector must match the sidecar's labels",
	refusal.SubscriptionChanged: "subscribe again: the subscription was changed",
	refusal.Unroutable:          "no queue takes such an event: is there a subscription, and does the routing key fit its binding?",
	refusal.ExchangeNotFound:    "declare it on the broker, or let the sidecar do it with topology: Manage",
	refusal.TopologyConflict:    "an exchange or queue of that name exists with other properties: delete it or declare it so",
	refusal.AccessRefused:       "check the broker's credentials and the user's permissions on the vhost",
	refusal.BrokerUnavailable:   "the sidecar is up, the broker is not: see the sidecar's log; --retry waits for it",
	refusal.BrokerBlocked:       "the broker raised a memory or disk alarm; --retry waits for its end",
	refusal.BufferFull:          "the sidecar is busy: lower --concurrency or use --retry",
	refusal.ConfigNotReady:      "the sidecar has no configuration yet: is its control plane up?",
	refusal.EventTooLarge:       "raise the topic's publish.maxEventBytes, or send less",
	refusal.DeadlineNear:        "raise --timeout",
}

// Hint says what to do about a failure, "" when there is no advice. What and
// address name the peer: "sidecar", "127.0.0.1:17400".
func (f Failure) Hint(what, address string) string {
	switch {
	case f.Reason == Unreachable:
		return "is a " + what + " running at " + address + "? start one with: warren dev"
	case f.Reason == "" && f.Code == code.Code_UNIMPLEMENTED.String():
		return address + " is not the port of a " + what + ", or runs another version"
	default:
		return hints[f.Reason]
	}
}
