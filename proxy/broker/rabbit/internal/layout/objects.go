package layout

import (
	"errors"
	"log/slog"
	"sync"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/conn"
)

// Objects are what a node declares: what of it is remembered, and what declaring it
// came to. It is safe for concurrent use.
type Objects struct {
	memory

	backs   backstops
	patient sync.Map // queues without disconnectedTimeout, by name
	losses  losses
}

// New returns one that remembers nothing. It logs to log what declaring finds out.
func New(log *slog.Logger) *Objects {
	o := &Objects{}
	o.backs.log, o.losses.log, o.losses.memory = log, log, &o.memory
	return o
}

// Restore declares what is remembered.
func (o *Objects) Restore(s *conn.Session) error { return o.Declare(s, o.All()) }

// Declare makes t exist, or checks that it does, by its policy. It goes on after
// an object that is refused, and returns all refusals; a lost connection ends it.
func (o *Objects) Declare(s *conn.Session, t queueing.Topology) error {
	d := &declarer{objects: o, session: s}
	defer d.close()
	switch t.Policy {
	case mesh.Ignore:
	case mesh.Verify:
		d.verify(t)
	default:
		d.manage(t)
	}
	return errors.Join(d.problems...)
}
