package client

import (
	"errors"
	"fmt"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/client/assembly"
	"github.com/warrenmesh/warren/xds/client/resource"
	"github.com/warrenmesh/warren/xds/wire"
)

// Snapshot is one whole, consistent configuration. It is immutable.
type Snapshot struct {
	// Config is complete: every broker a topic or subscription names is in it, with
	// nodes if it has any network.
	Config *mesh.Config
	// Version is a hash over the versions of all resources the Config was made of:
	// equal versions mean equal configurations, also across restarts.
	Version string
	// FromDisk is true while the Config comes from the state file and the control
	// plane has not answered.
	FromDisk bool
	// At is when it was assembled.
	At time.Time
}

func newSnapshot(f *assembly.Forms, fromDisk bool) *Snapshot {
	cfg := f.Config()
	cfg.Version = assembly.Version(f.Entries())
	return &Snapshot{Config: cfg, Version: cfg.Version, FromDisk: fromDisk, At: time.Now()}
}

// Refusals say which brokers of a snapshot an Apply cannot put in force, and why. With one
// of them nothing of the snapshot is in force.
type Refusals map[mesh.Name]error

// Err is the refusals as one error, nil when there are none.
func (r Refusals) Err() error {
	var errs []error
	for _, name := range mesh.Sorted(r) {
		errs = append(errs, fmt.Errorf("broker %s: %w", name, r[name]))
	}
	return errors.Join(errs...)
}

// refused is a resource that decodes and cannot be put in force.
type refused struct {
	typeURL string
	wire.Rejection
}

// apply hands a snapshot over and, unless it is refused, shows it to Await and Status.
func (c *Client) apply(f *assembly.Forms, s *Snapshot) Refusals {
	span := c.opts.Tracing.StartApply(c.cause, s.Version)
	why := c.opts.Apply(s)
	c.applies++
	span.End(why.Err())
	if len(why) > 0 {
		c.opts.Logger.Warn("configuration refused", keyError, why.Err())
		return why
	}
	c.mu.Lock()
	c.applied, c.snapshot = f, s
	if c.doubted {
		c.table.Redeem(f.Entries())
		c.doubted = len(c.barred) > 0
	}
	c.announce()
	c.mu.Unlock()
	c.opts.Logger.Debug("configuration applied", keyVersion, s.Version,
		keyTopics, len(s.Config.Topics), keySubs, len(s.Config.Subscriptions))
	return nil
}

// refuse bars the brokers that an Apply refused, and makes those of their resources bad
// that are new: what is in force stays. It returns what it has made bad.
func (c *Client) refuse(f *assembly.Forms, why Refusals) []refused {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []refused
	for name, err := range why {
		cluster := xds.BrokerResource(name)
		next, old := f.Made(cluster), c.applied.Made(cluster)
		if next == old || next == (assembly.Made{}) {
			continue // it is in force, or nothing of this snapshot
		}
		c.barred[next], c.doubted = struct{}{}, true
		for _, part := range [][2]*resource.Entry{{next.Cluster, old.Cluster}, {next.Endpoints, old.Endpoints}} {
			if e, good := part[0], part[1]; e != nil && e != good {
				c.table.Refuse(e, good, err)
				out = append(out, refused{e.TypeURL, wire.Rejection{Resource: e.Name, Error: err.Error()}})
			}
		}
	}
	return out
}

// ofType are the rejections that answer a response of that type. Responses with those
// of other types have been answered already: they show in Status, and the next stream
// reports them.
func ofType(rs []refused, typeURL string) []wire.Rejection {
	var out []wire.Rejection
	for _, r := range rs {
		if r.typeURL == typeURL {
			out = append(out, r.Rejection)
		}
	}
	return out
}
