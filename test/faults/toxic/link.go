package toxic

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"
)

// Net makes links. The zero value cannot be used; call New.
type Net struct {
	server *toxiproxy.ApiServer
	links  atomic.Int64
}

var registered = sync.OnceFunc(func() {
	zerolog.SetGlobalLevel(zerolog.Disabled) // it logs to standard error
	toxics.Register(directionType, new(direction))
})

// New returns a Net. It does not listen yet.
func New() *Net {
	registered()
	return &Net{server: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())}
}

// Link is one address in front of one node.
type Link struct {
	proxy    *toxiproxy.Proxy
	up, down *direction

	mu     sync.Mutex // guards changes of the weather, and starting and stopping the proxy
	closed bool
}

// Link listens on loopback and forwards to upstream, until Close. It closes connections
// with a reset.
func (n *Net) Link(upstream string) (*Link, error) {
	name := fmt.Sprintf("link%d", n.links.Add(1))
	l := &Link{proxy: toxiproxy.NewProxy(n.server, name, "127.0.0.1:0", upstream)}
	closed := make(chan struct{})
	for stream, d := range map[string]**direction{"upstream": &l.up, "downstream": &l.down} {
		// With a toxicity of 0 this toxic changes no byte, but makes toxiproxy close
		// with SO_LINGER 0.
		if _, err := l.add(stream, "reset_peer", 0); err != nil {
			return nil, err
		}
		toxic, err := l.add(stream, directionType, 1)
		if err != nil {
			return nil, err
		}
		*d, _ = toxic.(*direction)
		(*d).closed = closed
		(*d).now.Store(&spell{over: make(chan struct{})})
	}
	if err := l.proxy.Start(); err != nil {
		return nil, fmt.Errorf("start link to %s: %w", upstream, err)
	}
	return l, nil
}

// add adds a toxic to one direction of a link that has no connection yet.
func (l *Link) add(stream, kind string, toxicity float32) (toxics.Toxic, error) {
	spec, err := json.Marshal(map[string]any{"name": kind + "_" + stream, "type": kind, "stream": stream, "toxicity": toxicity, "attributes": struct{}{}})
	if err != nil {
		return nil, fmt.Errorf("add toxic %s: %w", kind, err)
	}
	w, err := l.proxy.Toxics.AddToxicJson(bytes.NewReader(spec))
	if err != nil {
		return nil, fmt.Errorf("add toxic %s: %w", kind, err)
	}
	return w.Toxic, nil
}

// Addr is the link's address, host:port. It never changes.
func (l *Link) Addr() string { return l.proxy.Listen }

// change changes the weather in both directions.
func (l *Link) change(f func(*weather)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range []*direction{l.up, l.down} {
		d.change(f)
	}
}

func (d *direction) change(f func(*weather)) {
	old := d.now.Load()
	s := &spell{weather: old.weather, over: make(chan struct{})}
	f(&s.weather)
	d.now.Store(s)
	close(old.over)
}

// Latency delays each direction by d plus or minus jitter.
func (l *Link) Latency(d, jitter time.Duration) {
	l.change(func(w *weather) { w.latency, w.jitter = d, jitter })
}

// Slice cuts the stream into pieces of size bytes.
func (l *Link) Slice(size int) { l.change(func(w *weather) { w.slice = size }) }

// Bandwidth limits each direction to that many KB a second.
func (l *Link) Bandwidth(kilobytes int) { l.change(func(w *weather) { w.bandwidth = kilobytes << 10 }) }

// BlackHole makes every connection half open: sent bytes are swallowed, and nothing is
// closed. New connections are accepted and receive nothing.
func (l *Link) BlackHole() { l.change(func(w *weather) { w.hole = true }) }

// CutAfter closes each connection after n bytes towards the node. For open connections
// the count begins now.
func (l *Link) CutAfter(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up.change(func(w *weather) { w.cutAfter = n })
}

// Heal ends every disturbance. Connections that lost bytes are closed.
func (l *Link) Heal() { l.change(func(w *weather) { *w = weather{} }) }

// Cut resets every connection. New ones are accepted.
func (l *Link) Cut() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proxy.Stop()
	return l.proxy.Start()
}

// Passed is how many bytes arrived at the link from the sidecars and from the node.
func (l *Link) Passed() (up, down int64) { return l.up.passed.Load(), l.down.passed.Load() }

// Connections is how many connections there have been.
func (l *Link) Connections() int64 { return l.up.connections.Load() }

// Swallowed is how many bytes were swallowed.
func (l *Link) Swallowed() int64 { return l.up.swallowed.Load() + l.down.swallowed.Load() }

// CutConnections is how many connections CutAfter has closed.
func (l *Link) CutConnections() int64 { return l.up.cut.Load() }

// Close resets every connection and stops listening. It is idempotent.
func (l *Link) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	close(l.up.closed) // both directions share it
	l.proxy.Stop()
}
