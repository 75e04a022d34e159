package delivery

import (
	"fmt"
	"time"

	"github.com/warrenmesh/warren/proxy/event"
)

// BeginLife begins the life of a message that was published with a TTL by other means than
// Warren: nobody knows when that was, so it counts from now. Copies carry its end.
func (d *Delivery) BeginLife() {
	if d.Expires.IsZero() && d.Lifetime > 0 {
		d.Expires = time.Now().Add(d.Lifetime)
	}
}

// EndOfLife returns when d's life ends: as it was published, or by its expirytime, whatever
// comes first. The zero value means never.
func (d *Delivery) EndOfLife() time.Time {
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

// Expired reports whether d's life has ended: the service is not to see it again.
func (d *Delivery) Expired() bool {
	end := d.EndOfLife()
	return !end.IsZero() && !time.Now().Before(end)
}

// ExpiryText says when the life of d, which has expired, ended.
func (d *Delivery) ExpiryText() string {
	return fmt.Sprintf("its life ended at %s", d.EndOfLife().UTC().Format(time.RFC3339Nano))
}
