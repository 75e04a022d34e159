package deliver

import (
	"fmt"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/event"
)

// arrival begins the life of a message that was published with a TTL by other means than
// Warren: nobody knows when that was, so it counts from now. Copies carry its end.
func arrival(d *delivery) {
	if d.Expires.IsZero() && d.Lifetime > 0 {
		d.Expires = time.Now().Add(d.Lifetime)
	}
}

// endOf returns when d's life ends: as it was published, or by its expirytime, whatever
// comes first. The zero value means never.
func endOf(d *delivery) time.Time {
	end := d.Expires
	if d.Event == nil {
		return end
	}
	if v, ok := d.Event.Lookup(event.AttrExpiryTime); ok && v.Kind() == event.KindTimestamp {
		if t := v.Time(); end.IsZero() || t.Before(end) {
			return t
		}
	}
	return end
}

// expired reports whether d's life has ended: the service is not to see it again.
func expired(d *delivery) bool {
	end := endOf(d)
	return !end.IsZero() && !time.Now().Before(end)
}

func expiryText(d *delivery) string {
	return fmt.Sprintf("its life ended at %s", endOf(d).UTC().Format(time.RFC3339Nano))
}

// judged is what becomes of d by o: what has expired is not tried again.
func judged(d *delivery, o outcome) outcome {
	if o.kind == event.Retry && expired(d) {
		o.kind, o.reason, o.detail = event.DeadLetter, broker.ReasonExpired, expiryText(d)
	}
	return o
}
