package client

import "github.com/warrenmesh/warren/mesh"

// Want asks for a topic as Await does, and does not wait for it. A name beyond the bounds
// is logged and dropped.
func (c *Client) Want(name mesh.Name) {
	c.mu.Lock()
	_, err := c.want(name)
	c.mu.Unlock()
	if err != nil {
		c.missing.Warn("topic not requested", "topic", name.String(), keyError, err)
	}
}
