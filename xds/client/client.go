package client

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/mesh"
	"github.com/warrenmesh/warren/xds/wire"
)

// Keys of log attributes.
const (
	keyServer   = "server"
	keyTopic    = "topic"
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

// Client keeps a sidecar's configuration in step with the control plane.
type Client struct {
	// set at construction
	opts   Options
	decode decodeFunc
	saver  *saver // nil without a state file
	wake   chan struct{}

	running atomic.Bool

	mu sync.Mutex // guards what follows; only Run writes, but for wanted
	// wanted are the topics asked for.
	wanted map[mesh.Name]struct{}
	table  table
	// applied is what the snapshot in force was made of; snapshot is nil before the first.
	applied  *forms
	snapshot *Snapshot
	// changed is closed and replaced when Await has reason to look again.
	changed        chan struct{}
	connected      bool
	lastContact    time.Time
	lastError      string
	stateFileError string
	unsaved        bool // what belongs into the state file changed, and the snapshot did not

	// cause is the push that the next Apply is due to; Run only.
	cause tracing.Hop
	told  string // the failure to connect that was logged last; Run only
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
		wanted:  make(map[mesh.Name]struct{}, len(opts.Topics)),
		table:   newTable(),
		applied: newForms(0),
		changed: make(chan struct{}),
	}
	for _, name := range opts.Topics {
		c.wanted[name] = struct{}{}
	}
	if opts.StateFile != "" {
		c.saver = newSaver(opts.StateFile, opts.SaveDelay, c.noteSaved)
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
		wg.Go(func() { c.saver.run(saving) })
		defer wg.Wait()
		defer stop()
	}
	for silent := 0; ; {
		answered, err := c.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		silent++
		if answered {
			silent = 0
		}
		if !c.pause(ctx, err, c.opts.Backoff(silent)) {
			return nil
		}
	}
}

// pause waits before a reconnect. It reports false when ctx ended. The same
// failure is told once.
func (c *Client) pause(ctx context.Context, err error, delay time.Duration) bool {
	c.mu.Lock()
	c.lastError = err.Error()
	c.mu.Unlock()
	if c.told != err.Error() {
		c.told = err.Error()
		c.opts.Logger.Warn("control plane lost", keyServer, c.opts.Server, keyError, err, keyRetryIn, delay)
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

// noteAnswered tells that the control plane is there; the next failure is news.
func (c *Client) noteAnswered() {
	c.told = ""
	c.opts.Logger.Info("control plane answers", keyServer, c.opts.Server)
}

// advance assembles what the table now holds, applies it if it differs from what
// is in force, and returns what has to be subscribed to.
func (c *Client) advance() needs {
	c.mu.Lock()
	next, n := assemble(c.table, c.wanted, c.applied)
	c.table.keep(n)
	due := !next.equal(c.applied) || c.snapshot == nil && c.firstIsDue()
	fromDisk := c.lastContact.IsZero()
	unsaved := c.unsaved && c.snapshot != nil
	settled := c.table.settled()
	c.mu.Unlock()
	if due {
		c.apply(next, newSnapshot(next, fromDisk))
	}
	if due || settled { // else it waits for what a new resource names
		c.cause = tracing.Hop{}
	}
	if !fromDisk && (due || unsaved) {
		c.save()
	}
	return n
}

// firstIsDue reports whether an empty configuration is the whole truth: the
// control plane has answered, and no answer is outstanding. c.mu is held.
func (c *Client) firstIsDue() bool { return !c.lastContact.IsZero() && c.table.settled() }

// apply hands a snapshot over and then shows it to Await and Status.
func (c *Client) apply(f *forms, s *Snapshot) {
	span := c.opts.Tracing.StartApply(c.cause, s.Version)
	c.opts.Apply(s)
	span.End(nil)
	c.mu.Lock()
	c.applied, c.snapshot = f, s
	c.announce()
	c.mu.Unlock()
	c.opts.Logger.Debug("configuration applied", keyVersion, s.Version,
		keyTopics, len(s.Config.Topics), keySubs, len(s.Config.Subscriptions))
}

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
