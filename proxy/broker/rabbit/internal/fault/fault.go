// Package fault says what the errors of RabbitMQ and of amqp091-go mean in the words of
// package broker: the kind of an error, the object that a closed channel was about, what
// differs in an object that exists otherwise. It is a leaf of pure functions: an error goes
// in, a *broker.Error or a fact about it comes out.
package fault

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker"
)

// ErrStopped is the cause of errors after Run has ended.
var ErrStopped = errors.New("the driver is stopped")

// ErrBlocked is the cause of what is not asked because the broker would not answer.
var ErrBlocked = errors.New("the broker raised an alarm")

// KindOf classifies what the library says. Anything that is not the answer to
// one particular request means that the connection is gone.
func KindOf(err error) broker.Kind {
	if errors.Is(err, ErrBlocked) {
		return broker.Blocked
	}
	var e *amqp.Error
	if !errors.As(err, &e) {
		return broker.Unavailable
	}
	switch e.Code {
	case amqp.NotFound:
		return broker.NotFound
	case amqp.AccessRefused, amqp.NotAllowed:
		return broker.Refused
	case amqp.PreconditionFailed, amqp.ResourceLocked:
		return broker.Conflict
	case amqp.ContentTooLarge:
		return broker.TooLarge
	default:
		return broker.Unavailable
	}
}

// PublishOp names a publish in errors.
func PublishOp(exchange string) string {
	if exchange == "" {
		return "publish to the default exchange"
	}
	return fmt.Sprintf("publish to exchange %q", exchange)
}

// NotSent makes the error of an operation that put nothing onto the broker.
func NotSent(kind broker.Kind, op string, err error) *broker.Error {
	return &broker.Error{Kind: kind, Outcome: broker.NotSent, Op: op, Err: err}
}

// RabbitMQ's 406 for an object that exists otherwise:
//
//	inequivalent arg 'type' for exchange 'x' in vhost '/': received 'topic' but current is 'direct'
//	inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received the value 'quorum' of type 'longstr' but current is none
var inequivalent = regexp.MustCompile(
	`inequivalent arg '([^']+)' for (queue|exchange) '(.*)' in vhost '.*': ` +
		`received (?:the value )?'?([^' ]*)'?(?: of type '[^']*')? but current is (?:the value )?'?([^' ]*)'?`)

// Inequivalent returns what differs in an object that exists otherwise, "" when err
// is about something else.
func Inequivalent(err error) string {
	var e *amqp.Error
	if !errors.As(err, &e) || e.Code != amqp.PreconditionFailed {
		return ""
	}
	m := inequivalent.FindStringSubmatch(e.Reason)
	if m == nil {
		return ""
	}
	return m[1]
}

// conflictText says in one line what exists and what was wanted, or returns the
// server's words when they have another form.
func conflictText(reason string) string {
	m := inequivalent.FindStringSubmatch(reason)
	if m == nil {
		return reason
	}
	arg, object, name, want, have := m[1], m[2], m[3], m[4], m[5]
	switch arg {
	case "type":
		return fmt.Sprintf("%s %q exists with type %s, wanted %s", object, name, have, want)
	case "x-queue-type":
		return fmt.Sprintf("%s %q exists with type %s, wanted %s", object, name, queueType(have), queueType(want))
	default:
		return fmt.Sprintf("%s %q exists with %s %s, wanted %s", object, name, arg, have, want)
	}
}

// queueType names the type of a queue that was declared without one.
func queueType(s string) string {
	if s == "none" {
		return "classic"
	}
	return cmp.Or(s, "classic")
}

// OfDeclare classifies the answer to a declare.
func OfDeclare(op string, err error) error {
	if broker.KindOf(err) != 0 {
		return err // found before asking
	}
	kind := KindOf(err)
	var e *amqp.Error
	if kind == broker.Conflict && errors.As(err, &e) {
		return NotSent(kind, op, errors.New(conflictText(e.Reason)))
	}
	return NotSent(kind, op, err)
}

// The exchange a channel was closed for:
//
//	NOT_FOUND - no exchange 'x' in vhost '/'
//	ACCESS_REFUSED - access to exchange 'x' in vhost '/' refused for user 'u'
var closedFor = regexp.MustCompile(`exchange '(.*)' in vhost`)

// The largest message the server takes, as it says when it closes a channel:
//
//	PRECONDITION_FAILED - message size 2000 is larger than configured max size 1000
var largest = regexp.MustCompile(`message size \d+ is larger than (?:configured )?max size (\d+)`)

// Limit returns the server's limit when err, a channel's end, is about a
// message above it.
func Limit(err error) (limit int64, ok bool) {
	var e *amqp.Error
	if !errors.As(err, &e) || e.Code != amqp.PreconditionFailed {
		return 0, false
	}
	m := largest.FindStringSubmatch(e.Reason)
	if m == nil {
		return 0, false
	}
	limit, err = strconv.ParseInt(m[1], 10, 64)
	return limit, err == nil
}

// Exchange returns the exchange that err, a channel's end, is about.
func Exchange(err error) (exchange string, kind broker.Kind, ok bool) {
	var e *amqp.Error
	if !errors.As(err, &e) || (e.Code != amqp.NotFound && e.Code != amqp.AccessRefused) {
		return "", 0, false
	}
	m := closedFor.FindStringSubmatch(e.Reason)
	if m == nil {
		return "", 0, false
	}
	return m[1], KindOf(err), true
}
