package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/mesh"
	"github.com/warrenmesh/warren/xds/wire"
)

var (
	// ErrNotFound means that the control plane has no such topic, or has not
	// answered for MissingAfter. The topic stays asked for: once it is declared, it
	// is found.
	ErrNotFound = errors.New("topic not found")
	// ErrTooManyTopics means that MaxTopics existing topics are in use already.
	ErrTooManyTopics = errors.New("too many topics in use")
)

// Want asks for a topic and does not wait for it. It is idempotent and never
// blocks. A name beyond MaxTopics is logged and dropped.
func (c *Client) Want(name mesh.Name) {
	c.mu.Lock()
	err := c.want(name)
	c.mu.Unlock()
	if err != nil {
		c.opts.Logger.Warn("topic not requested", keyTopic, name.String(), keyError, err)
	}
}

// Await asks for a topic and returns nil when it is complete in the applied
// snapshot, at once if it is already; a topic that was deleted and keeps serving
// counts. It returns ErrNotFound when the control plane has none and, when ctx
// ends first, ctx's error with what is still missing.
func (c *Client) Await(ctx context.Context, name mesh.Name) error {
	for {
		c.mu.Lock()
		done, err := c.lookup(name)
		changed := c.changed
		c.mu.Unlock()
		if done {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			c.mu.Lock()
			missing := c.missing(name)
			c.mu.Unlock()
			return fmt.Errorf("await topic %q: %s: %w", name, missing, ctx.Err())
		}
	}
}

// lookup says whether there is an answer about a topic, and asks for it if not.
// c.mu is held.
func (c *Client) lookup(name mesh.Name) (done bool, err error) {
	if _, ok := c.applied.topics[name]; ok {
		return true, nil
	}
	if err := c.want(name); err != nil {
		return true, fmt.Errorf("await topic %q: %w", name, err)
	}
	r, ok := c.table[xds.TypeListener][xds.TopicResource(name)]
	if ok && r.state == DoesNotExist {
		return true, fmt.Errorf("await topic %q: %w: %s", name, ErrNotFound, r.err)
	}
	return false, nil
}

// want adds a topic to what is asked for and wakes Run. c.mu is held.
func (c *Client) want(name mesh.Name) error {
	if _, ok := c.wanted[name]; ok {
		return nil
	}
	if len(c.wanted) >= c.opts.MaxTopics && !c.evict() {
		return fmt.Errorf("%w: %d", ErrTooManyTopics, len(c.wanted))
	}
	c.wanted[name] = struct{}{}
	select {
	case c.wake <- struct{}{}:
	default: // a wake-up is under way already and will see this name
	}
	return nil
}

// evict gives up one name that is known not to exist. c.mu is held.
func (c *Client) evict() bool {
	for name := range c.wanted {
		r, ok := c.table[xds.TypeListener][xds.TopicResource(name)]
		_, serving := c.applied.topics[name]
		if ok && r.state == DoesNotExist && !serving {
			delete(c.wanted, name)
			return true
		}
	}
	return false
}

// missing says what keeps a topic from being complete. c.mu is held.
func (c *Client) missing(name mesh.Name) string {
	resource := xds.TopicResource(name)
	l, ok := decodedAs[*wire.TopicListener](c.table.accepted(xds.TypeListener, resource))
	if !ok {
		return c.lack(xds.TypeListener, resource)
	}
	route := c.table.accepted(xds.TypeRoute, l.RouteConfig)
	if route == nil {
		return c.lack(xds.TypeRoute, l.RouteConfig)
	}
	for _, cluster := range route.clusters {
		d, ok := decodedAs[*wire.Cluster](c.table.accepted(xds.TypeCluster, cluster))
		if !ok {
			return c.lack(xds.TypeCluster, cluster)
		}
		e, ok := decodedAs[*wire.Endpoints](c.table.accepted(xds.TypeEndpoint, d.EndpointName))
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
	case !ok || r.state == Requested:
		return fmt.Sprintf("no answer for %s %q", shortType(typeURL), name)
	case r.state == Acked:
		return fmt.Sprintf("%s %q has no nodes", shortType(typeURL), name)
	default:
		return fmt.Sprintf("%s %q is %s: %s", shortType(typeURL), name, r.state, r.err)
	}
}
