package deadletter

import (
	"slices"
	"strings"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/event"
)

// Filter chooses letters. A letter must fit every field that is set; the zero value
// fits all.
type Filter struct {
	IDs     []string // any of these event ids, or ids of messages that are no event
	Source  string
	Types   []string  // any of these; one that ends in "*" is a prefix
	Reasons []string  // any of these
	Since   time.Time // given up then or later
	Until   time.Time // given up before
}

// fits reports whether d, a dead letter, is chosen. A letter that does not say when it was
// given up is in no span of time, and a message that is no event has no source or type.
func (f *Filter) fits(d *broker.Delivery) bool {
	l, e := d.DeadLetter, d.Event
	if e == nil {
		e = &event.Event{}
	}
	switch {
	case len(f.IDs) > 0 && !slices.Contains(f.IDs, d.MessageID()),
		f.Source != "" && f.Source != e.Source,
		len(f.Types) > 0 && !slices.ContainsFunc(f.Types, func(want string) bool { return fitsType(want, e.Type) }),
		len(f.Reasons) > 0 && !slices.Contains(f.Reasons, l.Reason),
		!f.Since.IsZero() && l.Time.Before(f.Since),
		!f.Until.IsZero() && (l.Time.IsZero() || !l.Time.Before(f.Until)):
		return false
	}
	return true
}

func fitsType(want, got string) bool {
	if prefix, ok := strings.CutSuffix(want, "*"); ok {
		return strings.HasPrefix(got, prefix)
	}
	return want == got
}
