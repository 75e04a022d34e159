package client

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/internal/pace"
	"github.com/warrenmesh/warren/tracing/tracecontext"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/client/assembly"
	"github.com/warrenmesh/warren/xds/client/lastgood"
	"github.com/warrenmesh/warren/xds/client/resource"
	"github.com/warrenmesh/warren/xds/wire"
)

// Keys of log attributes.
const (
	keyServer   = "server"
	keyType     = "type"
	keyResource = "resource"
	keyVersion  = "version"
	keyError    = "error"
	keyRetryIn  = "retry_in"
	keyFile     = "file"
	keySavedAt  = "saved_at"
	keyTopics   = "topics"
	keySubs     = "subscriptions"
)

// Client keeps a sidecar's configuration up to date with the control plane.
type Client struct {
	// set at construction
	opts   Options
	decode resource.Decode
	saver  *lastgood.Saver // nil without a state file
	wake   chan struct{}

	running atomic.Bool

	mu sync.Mutex // guards what follows; only Run writes, but for wanted
	// wanted are the topics asked for.
	wanted wants
	table  resource.Table
	// applied are the entries of the snapshot in force; snapshot is nil before the
	// first.
	applied  *assembly.Forms
	snapshot *Snapshot
	barred   assembly.Barred
	doubted  bool // something was refused since nothing was
	// changed is closed and replaced when Await has reason to look again.
	changed        chan struct{}
	connected      bool
	lastContact    time.Time
	lastError      string
	stateFileError string
	unsaved        bool // what belongs into the state file changed, and the snapshot did not

	// missing logs names that do not exist. It is bounded, because publishers can make
	// names up.
	missing *pace.Log

	// cause is the push that makes the next Apply necessary; Run only.
	cause   tracecontext.Hop
	told    string // the failure to connect that was logged last; Run only
	met     bool   // the control plane has answered since the start; Run only
	heard   bool   // that the control plane answers was logged since; Run only
	applies int    // calls of Apply, or resources that came or went; Run only
}

// New checks the options and builds a client. Nothing is read or dialled before
// Run.
func New(opts Options) (*Client, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Client{
		opts:    opts,
		decode:  wire.Decode,
		wake:    make(chan struct{}, 1),
		wanted:  newWants(opts.Topics, opts.NewTopics),
		missing: pace.NewLog(opts.Logger, missingBurst, missingEvery),
		table:   resource.New(),
		applied: assembly.New(0),
		barred:  assembly.Barred{},
		changed: make(chan struct{}),
	}
	if opts.StateFile != "" {
		c.saver = lastgood.NewSaver(opts.StateFile, opts.SaveDelay, c.noteSaved)
	}
	return c, nil
}

// Run starts from the state file, if there is a good one, and then follows the
// control plane until ctx ends; it returns nil then, after the last state is on
// disk. The control plane being away is not an error. It may be called once.
func (c *Client) Run(ctx context.Context) error {
	if c.running.Swap(true) {
		return errors.New("client: Run was called twice")
	}
	if c.saver != nil {
		c.restore()
		saving, stop := context.WithCancel(context.WithoutCancel(ctx))
		var wg sync.WaitGroup
		wg.Go(func() { c.saver.Run(saving) })
		defer wg.Wait()
		defer stop()
	}
	for fruitless := 0; ; {
		progress, err := c.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		fruitless++
		if progress {
			fruitless, c.told = 0, ""
		}
		if !c.pause(ctx, err, c.opts.Backoff(fruitless)) {
			return nil
		}
	}
}

// pause waits before a reconnect. It reports false when ctx ended. The same failure is
// logged once.
func (c *Client) pause(ctx context.Context, err error, delay time.Duration) bool {
	c.mu.Lock()
	c.lastError = err.Error()
	c.mu.Unlock()
	c.opts.OnStatus()
	if c.told != err.Error() {
		c.told, c.heard = err.Error(), false
		if c.met {
			c.opts.Logger.Warn("control plane lost", keyServer, c.opts.Server, keyError, err, keyRetryIn, delay)
		} else { // a sidecar often starts before its control plane: that is no trouble yet
			c.opts.Logger.Info("waiting for the control plane", keyServer, c.opts.Server, keyError, err, keyRetryIn, delay)
		}
	}
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// noteAnswered logs that the control plane is reachable again, once after each failure
// that was logged.
func (c *Client) noteAnswered() {
	c.met = true
	if !c.heard {
		c.heard = true
		c.opts.Logger.Info("control plane answers", keyServer, c.opts.Server)
	}
}

// advance assembles the table. It applies the result if it differs from the
// configuration in force. It returns what has to be subscribed to, and what Apply
// refused. A refused resource is bad from then on, and the rest is assembled without
// it.
func (c *Client) advance() (resource.Needs, []refused) {
	var all []refused
	for {
		n, bad := c.step()
		all = append(all, bad...)
		if len(bad) == 0 {
			return n, all
		}
	}
}

// step is one assembly. Each that is refused makes a resource bad, so that there are
// fewer of them than resources.
func (c *Client) step() (resource.Needs, []refused) {
	c.mu.Lock()
	c.wanted.answered(c.table)
	next, n := assembly.Next(c.table, c.wanted.names, c.applied, c.barred)
	due := !next.Equal(c.applied)
	fromDisk := c.lastContact.IsZero()
	c.mu.Unlock()
	if due {
		if why := c.apply(next, newSnapshot(next, fromDisk)); len(why) > 0 {
			if bad := c.refuse(next, why); len(bad) > 0 {
				return nil, bad
			}
			c.applied.Cover(n) // nothing new is at fault: what is in force stays as it is
		}
	}
	c.mu.Lock()
	c.table.Keep(n)
	c.barred.Keep(c.table)
	answered := c.table.Answered()
	first := c.snapshot == nil && !due && c.firstIsDue()
	unsaved := c.unsaved && c.snapshot != nil
	c.mu.Unlock()
	if first { // it is empty, so that there is nothing to refuse
		c.apply(next, newSnapshot(next, fromDisk))
	}
	due = due || first
	if due || answered { // else it waits for what a new resource names
		c.cause = tracecontext.Hop{}
	}
	if !fromDisk && (due || unsaved) {
		c.save()
	}
	return n, nil
}

// firstIsDue reports whether an empty configuration is complete: the control plane has
// answered, and no answer is outstanding. c.mu is held.
func (c *Client) firstIsDue() bool { return !c.lastContact.IsZero() && c.table.Answered() }

// announce wakes everyone in Await. c.mu is held.
func (c *Client) announce() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func known(typeURL string) bool { return slices.Contains(xds.TypeURLs(), typeURL) }

// shortType is the last word of a type URL.
func shortType(typeURL string) string {
	return typeURL[strings.LastIndexByte(typeURL, '.')+1:]
}
