package listen

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/mem"

	"github.com/warrenmesh/warren/internal/pace"
)

// Protocol is the protocol of a listener.
type Protocol int

// The protocols of a listener.
const (
	HTTP1  Protocol = iota + 1
	HTTP2           // from the first byte
	Either          // known from the client's first bytes
)

// Bounds are what the callers of one listener may use.
type Bounds struct {
	// Name is the listener's in the log. Required.
	Name string
	// Conns is how many connections there are at most; required. One more closes the one
	// that has been silent for longest without ever having made a call; when all have
	// made one, the new one is closed.
	Conns int
	// Protocol of the connections. Required.
	Protocol Protocol
	// Partial bounds bytes of unfinished gRPC messages; nil means no bound.
	Partial *Partial
	// Logger logs failed accepts and connections that were closed for a bound.
	// Required.
	Logger *slog.Logger
}

const (
	// A stream that a client resets, or makes the server reset, costs the server a
	// call and the client almost nothing. A connection that resets more than these is
	// read more slowly. So are all connections of a listener that resets too much in
	// total.
	resetsPerSecond    = 500
	resetBurst         = 1000
	allResetsPerSecond = 4 * resetsPerSecond
	allResetBurst      = 4 * resetBurst

	// boundLines is how many lines about one listener are logged at once; then one
	// each boundEvery.
	boundLines = 5
	boundEvery = 10 * time.Second

	acceptPause    = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// Bound limits what l's callers may use. Accept never returns a temporary error: it
// logs the error and goes on.
func Bound(l net.Listener, b Bounds) net.Listener {
	return &bound{
		Listener: l, bounds: b,
		log:    pace.NewLog(b.Logger, boundLines, boundEvery),
		resets: pace.NewBucket(allResetsPerSecond, allResetBurst),
		closed: make(chan struct{}),
		conns:  map[*conn]struct{}{},
	}
}

type bound struct {
	net.Listener
	bounds Bounds
	log    *pace.Log
	resets *pace.Bucket

	once   sync.Once
	closed chan struct{}

	mu    sync.Mutex
	conns map[*conn]struct{} // guarded by mu
}

// Close implements net.Listener. Connections go on.
func (l *bound) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// Accept implements net.Listener.
func (l *bound) Accept() (net.Conn, error) {
	pause := acceptPause
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			if l.over() || errors.Is(err, net.ErrClosed) {
				return nil, err
			}
			// Out of descriptors, as a rule: others will be closed.
			l.log.Warn("connection not accepted", "listener", l.bounds.Name, "error", err)
			l.wait(pause)
			pause = min(2*pause, maxAcceptPause)
			continue
		}
		pause = acceptPause
		if out, ok := l.admit(c); ok {
			return out, nil
		}
	}
}

func (l *bound) over() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

func (l *bound) wait(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.closed:
	}
}

// admit makes room for c, or closes it.
func (l *bound) admit(c net.Conn) (net.Conn, bool) {
	n := l.newConn(c)
	l.mu.Lock()
	var victim *conn
	full := len(l.conns) >= l.bounds.Conns
	if full {
		victim = l.silent()
		delete(l.conns, victim)
	}
	if admitted := !full || victim != nil; admitted {
		l.conns[n] = struct{}{}
	}
	l.mu.Unlock()
	switch {
	case victim != nil:
		l.log.Warn("silent connection closed: too many", "listener", l.bounds.Name, "limit", l.bounds.Conns)
		_ = victim.Close() // the peer has not made a call
	case full:
		l.log.Warn("connection refused: too many", "listener", l.bounds.Name, "limit", l.bounds.Conns)
		_ = c.Close() // as above
		return nil, false
	}
	return n, true
}

// silent returns the connection without a call that has been silent for longest, nil
// when each has made one. l.mu is held.
func (l *bound) silent() (victim *conn) {
	for c := range l.conns {
		if !c.called.Load() && (victim == nil || c.heard.Load() < victim.heard.Load()) {
			victim = c
		}
	}
	return victim
}

func (l *bound) forget(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// conn is a connection of a bound listener. Read or ReadOnReady, and Write, may each be
// called by one goroutine at a time.
type conn struct {
	net.Conn
	l      *bound
	resets *pace.Bucket
	parts  *partials // nil when they are not bounded

	heard  atomic.Int64 // when something came last, in Unix nanoseconds
	called atomic.Bool  // it made a gRPC call
	http2  atomic.Bool
	debt   atomic.Int32 // resets that were not paid for yet

	in    frames   // belongs to Read
	ready readable // belongs to Read
	out   frames   // belongs to Write
	// what frames tell, made once: a method value costs an allocation
	onCame, onWent func(frame)
	onData         func(uint32, []byte)

	once   sync.Once
	closed chan struct{}
	err    error // of Close
}

func (l *bound) newConn(c net.Conn) *conn {
	n := &conn{Conn: c, l: l, resets: pace.NewBucket(resetsPerSecond, resetBurst), closed: make(chan struct{})}
	n.heard.Store(time.Now().UnixNano())
	n.onCame, n.onWent = n.came, n.went
	n.ready.init(c)
	switch l.bounds.Protocol {
	case HTTP2:
		n.http2.Store(true)
		n.in.toMatch = preface
	case Either:
		n.in.toMatch = preface
	default:
		n.in.plain = true
	}
	if l.bounds.Partial != nil {
		n.parts = &partials{all: l.bounds.Partial, close: func() { _ = n.Close() }, streams: map[uint32]*unfinished{}}
		n.onData = n.parts.data
	}
	return n
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.err = c.Conn.Close()
		c.l.forget(c)
		if c.parts != nil {
			c.parts.endAll()
		}
	})
	return c.err
}

// Read implements net.Conn. It returns later to a client that resets too much.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.took(b[:n])
	return n, err
}

// ReadOnReady is Read with a buffer of size bytes from pool, which it takes once there is
// something to read; the caller puts it back. gRPC calls it on connections that have it
// (internal/transport/readyreader). Otherwise each of them would hold 32 KiB while it is
// silent.
func (c *conn) ReadOnReady(size int, pool mem.BufferPool) (*[]byte, int, error) {
	b, n, err := c.ready.read(c.Conn, size, pool)
	if n > 0 {
		c.took((*b)[:n])
	}
	return b, n, err
}

// readBlocking reads with a buffer that is taken first.
func readBlocking(c net.Conn, size int, pool mem.BufferPool) (*[]byte, int, error) {
	b := pool.Get(size)
	n, err := c.Read(*b)
	if n == 0 {
		pool.Put(b)
		return nil, 0, err
	}
	return b, n, err
}

// took is called with what was read.
func (c *conn) took(b []byte) {
	if len(b) == 0 {
		return
	}
	now := time.Now()
	c.heard.Store(now.UnixNano())
	if !c.in.plain {
		c.scanned(b)
	}
	if debt := c.debt.Swap(0); debt > 0 {
		c.pause(max(c.resets.Reserve(now, int(debt)), c.l.resets.Reserve(now, int(debt))))
	}
}

func (c *conn) scanned(b []byte) {
	c.in.scan(b, c.onCame, c.onData)
	if !c.in.plain && len(c.in.toMatch) == 0 && !c.http2.Load() {
		c.http2.Store(true)
	}
}

// came is called for the client's frames.
func (c *conn) came(f frame) {
	switch f.kind {
	case frameHeaders:
		c.called.Store(true)
	case frameReset:
		c.debt.Add(1)
		c.ended(f.stream)
	}
}

// went is called for the server's frames.
func (c *conn) went(f frame) {
	switch {
	case f.kind == frameReset:
		c.debt.Add(1)
		c.ended(f.stream)
	case f.kind == frameHeaders && f.flags&flagEndStream != 0:
		c.ended(f.stream)
	}
}

func (c *conn) ended(stream uint32) {
	if c.parts != nil {
		c.parts.end(stream)
	}
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	if c.http2.Load() {
		c.out.scan(b, c.onWent, nil)
	}
	return c.Conn.Write(b)
}

func (c *conn) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.closed:
	}
}
