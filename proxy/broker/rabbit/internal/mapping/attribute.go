package mapping

import (
	"fmt"
	"strconv"

	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
	"github.com/warrenmesh/warren/proxy/event"
)

// attribute makes the value of the attribute called name of a header. The header is not
// void.
func attribute(name string, f *message.Field) (event.Value, error) {
	switch f.Kind {
	case message.KindBool:
		v, _ := f.Bool()
		return event.Boolean(v), nil
	case message.KindText:
		return event.Typed(name, f.Raw), nil
	case message.KindBytes:
		if event.Textual(name) {
			return event.Typed(name, f.Raw), nil
		}
		return event.Binary([]byte(f.Raw)), nil
	case message.KindTimestamp:
		n, _ := f.Seconds()
		return moment(name, n)
	case message.KindFloat32:
		v, _ := f.Float()
		return event.Number(name, strconv.FormatFloat(v, 'g', -1, 32))
	case message.KindFloat64:
		v, _ := f.Float()
		return event.Number(name, strconv.FormatFloat(v, 'g', -1, 64))
	case message.KindDecimal:
		s, _ := f.Decimal()
		return event.Number(name, s)
	}
	if n, ok := f.Int(); ok {
		if event.Timed(name) {
			return moment(name, n)
		}
		return event.Whole(name, n)
	}
	return event.Value{}, &event.FieldError{Field: name, Reason: fmt.Sprintf("a header of AMQP type %s is no attribute value", f.Kind)}
}

// moment is the value of a count since 1970.
func moment(name string, n int64) (event.Value, error) {
	t, ok := event.SinceEpoch(n)
	if !ok {
		return event.Value{}, &event.FieldError{Field: name, Reason: fmt.Sprintf("%d since 1970 is not within the years 1 to 9999", n)}
	}
	return event.Timestamp(t), nil
}
