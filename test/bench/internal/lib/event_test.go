package lib

import (
	"errors"
	"maps"
	"regexp"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/test/bench/internal/load"
)

// delivered is what a broker hands out of a message.
func delivered(p amqp.Publishing) *amqp.Delivery {
	return &amqp.Delivery{Headers: maps.Clone(p.Headers), ContentType: p.ContentType, MessageId: p.MessageId, Body: p.Body}
}

func TestAMessageIsReadBackAsTheEventItWas(t *testing.T) {
	t.Parallel()
	d := newDraft(100)
	first, err := read(delivered(d.message("a-1")))
	if err != nil || first.id != "a-1" || first.source != load.Source || first.typ != load.EventType ||
		first.contentType != load.ContentType || len(first.data) != 100 {
		t.Errorf("the event is %+v, %v", first, err)
	}
	second, err := read(delivered(d.message("a-2")))
	if err != nil || second.id != "a-2" || second.trace == first.trace {
		t.Errorf("the next event is %+v, %v; the first had the trace %s", second, err, first.trace)
	}
	if want := regexp.MustCompile("^00-[0-9a-f]{32}-[0-9a-f]{16}-00$"); !want.MatchString(first.trace) {
		t.Errorf("the trace context is %q", first.trace)
	}
}

func TestAMessageThatLacksAHeaderIsNoEvent(t *testing.T) {
	t.Parallel()
	for name := range newDraft(100).message("a-1").Headers {
		bad := delivered(newDraft(100).message("a-1"))
		delete(bad.Headers, name)
		if e, err := read(bad); !errors.Is(err, errNoEvent) {
			t.Errorf("without %s: %+v, %v", name, e, err)
		}
	}
	old := delivered(newDraft(100).message("a-1"))
	old.Headers[specVersionHeader] = "0.3"
	if e, err := read(old); !errors.Is(err, errNoEvent) {
		t.Errorf("of another version: %+v, %v", e, err)
	}
}
