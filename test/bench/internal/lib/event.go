package lib

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/test/bench/internal/load"
)

// Headers of an event in binary mode, and of the trace context.
const (
	idHeader          = "ce-id"
	sourceHeader      = "ce-source"
	specVersionHeader = "ce-specversion"
	typeHeader        = "ce-type"
	traceHeader       = "traceparent"
)

const specVersion = "1.0"

var errNoEvent = errors.New("a message is no event of the comparison")

// draft makes messages. Its table and its body are used again for each message: the
// library has written them when a publish returns.
type draft struct {
	headers amqp.Table
	body    []byte
	trace   [55]byte // version, trace id, span id and flags, in hexadecimal
}

func newDraft(size int) *draft {
	d := &draft{body: make([]byte, size), headers: amqp.Table{
		sourceHeader: load.Source, specVersionHeader: specVersion, typeHeader: load.EventType,
	}}
	copy(d.trace[:], "00-00000000000000000000000000000000-0000000000000000-00")
	return d
}

// message is an event as Warren publishes it: the same properties and headers, with a
// trace context of its own that is not sampled.
func (d *draft) message(id string) amqp.Publishing {
	var ids [24]byte
	for i := 0; i < len(ids); i += 8 {
		for at, n := i, rand.Uint64()|1; at < i+8; at, n = at+1, n>>8 { //nolint:gosec // no secret; an id of zeros is invalid
			ids[at] = byte(n)
		}
	}
	hex.Encode(d.trace[3:], ids[:16])
	hex.Encode(d.trace[36:], ids[16:])
	d.headers[idHeader], d.headers[traceHeader] = id, string(d.trace[:])
	return amqp.Publishing{
		Headers: d.headers, DeliveryMode: amqp.Persistent, ContentType: load.ContentType,
		MessageId: id, Type: load.EventType, AppId: load.App, Body: d.body,
	}
}

// event is what a service gets of a message.
type event struct {
	id, source, specVersion, typ, contentType, trace string
	data                                             []byte
}

// read reads the headers of a delivery back into an event.
func read(d *amqp.Delivery) (e event, err error) {
	e = event{contentType: d.ContentType, data: d.Body}
	for _, attribute := range []struct {
		name string
		to   *string
	}{{idHeader, &e.id}, {sourceHeader, &e.source}, {specVersionHeader, &e.specVersion}, {typeHeader, &e.typ}, {traceHeader, &e.trace}} {
		text, ok := d.Headers[attribute.name].(string)
		if !ok || text == "" {
			return event{}, fmt.Errorf("%w: message %q has no header %s", errNoEvent, d.MessageId, attribute.name)
		}
		*attribute.to = text
	}
	if e.specVersion != specVersion {
		return event{}, fmt.Errorf("%w: message %q is of version %q", errNoEvent, d.MessageId, e.specVersion)
	}
	return e, nil
}
