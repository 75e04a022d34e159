package client

import (
	"errors"
	"io/fs"
	"os"
	"slices"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/client/assembly"
	"github.com/warrenmesh/warren/xds/client/lastgood"
	"github.com/warrenmesh/warren/xds/client/resource"
)

// save hands the configuration in force to the saver. Topics that were deleted
// are left out: they serve as long as this process lives.
func (c *Client) save() {
	if c.saver == nil {
		return
	}
	c.mu.Lock()
	c.unsaved = false
	keep := c.applied.Without(func(listener *resource.Entry) bool {
		r, ok := c.table[xds.TypeListener][listener.Name]
		return ok && r.State == resource.DoesNotExist
	})
	c.mu.Unlock()
	g := &lastgood.Content{Format: lastgood.Format, Namespace: c.opts.Node.Namespace, Workload: c.opts.Node.Workload}
	for name := range keep.Topics() {
		g.Topics = append(g.Topics, name.String())
	}
	slices.Sort(g.Topics)
	es := keep.Entries()
	g.Version = assembly.Version(es) // sorts them
	for _, e := range es {
		r, err := lastgood.NewResource(e.TypeURL, e.Name, e.Version, e.Any)
		if err != nil {
			c.noteSaved(err)
			return
		}
		g.Resources = append(g.Resources, r)
	}
	c.saver.Put(g)
}

// noteSaved keeps and logs the result of a write; the same error is told once.
func (c *Client) noteSaved(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	c.mu.Lock()
	news := c.stateFileError != text
	c.stateFileError = text
	c.mu.Unlock()
	if err != nil && news {
		c.opts.Logger.Error("last-good configuration not saved", keyFile, c.opts.StateFile, keyError, err)
	}
}

// restore starts from the state file. Whatever is wrong with it is reported and
// never stops the sidecar.
func (c *Client) restore() {
	g, err := lastgood.Read(c.opts.StateFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return
	case errors.Is(err, lastgood.ErrCorrupt):
		err = errors.Join(err, os.Rename(c.opts.StateFile, c.opts.StateFile+".corrupt"))
		fallthrough
	case err != nil:
		c.noteUnread(err)
		return
	}
	if g.Namespace != c.opts.Node.Namespace || g.Workload != c.opts.Node.Workload {
		c.noteUnread(errors.New("it is of workload " + g.Namespace + "/" + g.Workload))
		return
	}
	c.mu.Lock()
	for _, s := range g.Topics {
		if name, err := mesh.ParseName(s, ""); err == nil && len(c.wanted.names) < c.opts.MaxTopics {
			c.wanted.add(name)
		}
	}
	c.mu.Unlock()
	for _, r := range g.Resources {
		c.restoreResource(r)
	}
	c.advance()
	c.mu.Lock()
	started := c.snapshot != nil
	c.mu.Unlock()
	if started {
		c.opts.Logger.Info("started from last-good configuration",
			keyFile, c.opts.StateFile, keySavedAt, g.SavedAt, keyVersion, g.Version)
	}
}

// restoreResource takes a stored resource by the same path as one from the stream.
// One that does not decode any more is left out: the control plane sends it again.
func (c *Client) restoreResource(r lastgood.Resource) {
	a, err := r.Unpack()
	if err == nil && !known(r.TypeURL) {
		err = errors.New("unknown type")
	}
	var e *resource.Entry
	if err == nil {
		e, err = c.decode.Entry(r.TypeURL, r.Name, r.Version, a)
	}
	if err != nil {
		c.opts.Logger.Warn("last-good resource not usable", keyType, shortType(r.TypeURL), keyResource, r.Name, keyError, err)
		return
	}
	c.mu.Lock()
	c.table.Accept(e)
	c.mu.Unlock()
}

func (c *Client) noteUnread(err error) {
	c.mu.Lock()
	c.stateFileError = err.Error()
	c.mu.Unlock()
	c.opts.Logger.Error("last-good configuration not usable", keyFile, c.opts.StateFile, keyError, err)
}
