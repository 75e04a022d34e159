package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/warrenmesh/warren/internal/pace"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/client/resource"
	"github.com/warrenmesh/warren/xds/wire"
)

var (
	// ErrNotFound means that the control plane has no such topic, or has not
	// answered for MissingAfter. The topic stays asked for as long as somebody wants
	// it, and for ForgetAfter: once it is declared, it is found.
	ErrNotFound = errors.New("topic not found")
	// ErrTooManyTopics means that MaxTopics existing topics are in use already.
	ErrTooManyTopics = errors.New("too many topics in use")
	// ErrTooManyNewTopics means that too many names were asked for recently that do
	// not exist or are not answered yet. A later try may succeed.
	ErrTooManyNewTopics = errors.New("too many new topics at once")
)

// Await asks for a topic and returns nil when it is complete in the applied
// snapshot, at once if it is already; a topic that was deleted and keeps serving
// counts. It returns ErrNotFound when the control plane has none and, when ctx
// ends first, ctx's error with what is still missing.
func (c *Client) Await(ctx context.Context, name mesh.Name) error {
	c.mu.Lock()
	w, done, err := c.lookup(name)
	if done {
		c.mu.Unlock()
		return err
	}
	w.waiting++
	defer func() { // c.mu is held
		w.waiting--
		c.mu.Unlock()
	}()
	for {
		changed := c.changed
		c.mu.Unlock()
		select {
		case <-changed:
			c.mu.Lock()
		case <-ctx.Done():
			c.mu.Lock()
			return fmt.Errorf("await topic %q: %s: %w", name, c.missingOf(name), ctx.Err())
		}
		if _, done, err = c.lookup(name); done {
			return err
		}
	}
}

// lookup says whether there is an answer about a topic, and asks for it if not.
// c.mu is held.
func (c *Client) lookup(name mesh.Name) (w *want, done bool, err error) {
	if c.applied.Has(name) {
		return nil, true, nil
	}
	if w, err = c.want(name); err != nil {
		return nil, true, fmt.Errorf("await topic %q: %w", name, err)
	}
	r, ok := c.table[xds.TypeListener][xds.TopicResource(name)]
	if ok && r.State == resource.DoesNotExist {
		return w, true, fmt.Errorf("await topic %q: %w: %s", name, ErrNotFound, r.Err)
	}
	return w, false, nil
}

// want adds a topic to what is asked for and wakes Run. c.mu is held.
func (c *Client) want(name mesh.Name) (*want, error) {
	if w, ok := c.wanted.names[name]; ok {
		w.last = time.Now()
		return w, nil
	}
	if len(c.wanted.names) >= c.opts.MaxTopics && !c.evict() {
		return nil, fmt.Errorf("%w: %d", ErrTooManyTopics, len(c.wanted.names))
	}
	if !c.wanted.allows() {
		return nil, ErrTooManyNewTopics
	}
	w := c.wanted.add(name)
	w.unanswered = true
	select {
	case c.wake <- struct{}{}:
	default: // a wake-up is under way already and will see this name
	}
	return w, nil
}

// evict forgets one name that is known not to exist. While the control plane is away
// and cannot say so, it forgets one that nobody waits for. c.mu is held.
func (c *Client) evict() bool {
	for name, w := range c.wanted.names {
		r, ok := c.table[xds.TypeListener][xds.TopicResource(name)]
		serving := c.applied.Has(name)
		gone := ok && r.State == resource.DoesNotExist && !serving && w.waiting == 0
		if gone || !c.connected && c.unknown(name, w) {
			delete(c.wanted.names, name)
			return true
		}
	}
	return false
}

// missingOf says what keeps a topic from being complete. c.mu is held.
func (c *Client) missingOf(name mesh.Name) string {
	listens := xds.TopicResource(name)
	l, ok := resource.As[*wire.TopicListener](c.table.Accepted(xds.TypeListener, listens))
	if !ok {
		return c.lack(xds.TypeListener, listens)
	}
	route := c.table.Accepted(xds.TypeRoute, l.RouteConfig)
	if route == nil {
		return c.lack(xds.TypeRoute, l.RouteConfig)
	}
	for _, cluster := range route.Clusters {
		d, ok := resource.As[*wire.Cluster](c.table.Accepted(xds.TypeCluster, cluster))
		if !ok || c.table.Refused(xds.TypeCluster, cluster) {
			return c.lack(xds.TypeCluster, cluster)
		}
		e, ok := resource.As[*wire.Endpoints](c.table.Accepted(xds.TypeEndpoint, d.EndpointName))
		if d.Broker.Type.Capabilities().Networked && (!ok || len(e.Nodes) == 0) {
			return c.lack(xds.TypeEndpoint, d.EndpointName)
		}
	}
	return "not applied yet"
}

// lack describes a resource that is not there. c.mu is held.
func (c *Client) lack(typeURL, name string) string {
	r, ok := c.table[typeURL][name]
	switch {
	case !c.connected:
		return fmt.Sprintf("no control plane at %q (%s)", c.opts.Server, c.lastError)
	case !ok || r.State == resource.Requested:
		return fmt.Sprintf("no answer for %s %q", shortType(typeURL), name)
	case r.State == resource.Acked:
		return fmt.Sprintf("%s %q has no nodes", shortType(typeURL), name)
	default:
		return fmt.Sprintf("%s %q is %s: %s", shortType(typeURL), name, r.State, r.Err)
	}
}

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
func (w *wants) answered(t resource.Table) {
	for name, asked := range w.names {
		if !asked.unanswered {
			continue
		}
		r, ok := t[xds.TypeListener][xds.TopicResource(name)]
		if !ok || r.State == resource.Requested {
			continue
		}
		asked.unanswered = false
		if r.State != resource.DoesNotExist {
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
	return !c.applied.Has(name) && c.table.Accepted(xds.TypeListener, xds.TopicResource(name)) == nil
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
