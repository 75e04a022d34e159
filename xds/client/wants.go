package client

import (
	"time"

	"github.com/warrenmesh/warren/internal/pace"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
)

// want is one topic that is asked for.
type want struct {
	last       time.Time // when somebody wanted it last
	waiting    int       // those in Await
	pinned     bool      // in Options.Topics: never forgotten
	unanswered bool      // asked for with a token, which comes back if it exists
}

// wants are the topics asked for and the bound of those that may not exist. The
// client's mutex guards it.
type wants struct {
	names  map[mesh.Name]*want
	tokens *pace.Bucket
}

func newWants(pinned []mesh.Name, newTopics int) wants {
	w := wants{
		names:  make(map[mesh.Name]*want, len(pinned)),
		tokens: pace.NewBucket(float64(newTopics)*recovery, float64(newTopics)),
	}
	for _, name := range pinned {
		w.add(name).pinned = true
	}
	return w
}

func (w *wants) add(name mesh.Name) *want {
	added := &want{last: time.Now()}
	w.names[name] = added
	return added
}

// allows takes the token of a new name, if there is one.
func (w *wants) allows() bool { return w.tokens.TryTake(time.Now()) }

// answered gives back the tokens of names that exist: a service may use any number of
// existing topics at once.
func (w *wants) answered(t table) {
	for name, asked := range w.names {
		if !asked.unanswered {
			continue
		}
		r, ok := t[xds.TypeListener][xds.TopicResource(name)]
		if !ok || r.state == Requested {
			continue
		}
		asked.unanswered = false
		if r.state != DoesNotExist {
			w.tokens.Return()
		}
	}
}

// unknown reports whether a name may be forgotten: nobody waits for it, and there is
// no sign that it exists.
func (c *Client) unknown(name mesh.Name, w *want) bool {
	if w.pinned || w.waiting > 0 {
		return false
	}
	_, serving := c.applied.topics[name]
	return !serving && c.table.accepted(xds.TypeListener, xds.TopicResource(name)) == nil
}

// forget removes the names that were not wanted for ForgetAfter and are not known to
// exist. A later want asks anew. c.mu is held.
func (c *Client) forget(now time.Time) {
	for name, w := range c.wanted.names {
		if c.unknown(name, w) && now.Sub(w.last) >= c.opts.ForgetAfter {
			delete(c.wanted.names, name)
		}
	}
}

// nextForgotten returns when the next name is to be forgotten. c.mu is held.
func (c *Client) nextForgotten() (at time.Time, ok bool) {
	for name, w := range c.wanted.names {
		if due := w.last.Add(c.opts.ForgetAfter); c.unknown(name, w) && (!ok || due.Before(at)) {
			at, ok = due, true
		}
	}
	return at, ok
}
