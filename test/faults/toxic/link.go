package toxic

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"
)

// Net makes links. The zero value is of no use; call New.
type Net struct {
	server *toxiproxy.ApiServer
	links  atomic.Int64
}

var registered = sync.OnceFunc(func() {
	zerolog.SetGlobalLevel(zerolog.Disabled) // its toxics log to the standard error
	register()
})

// New returns a Net. Nothing listens yet.
func New() *Net {
	registered()
	return &Net{server: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())}
}

// streams are the two directions: towards the node and from it.
var streams = []string{"upstream", "downstream"}

// Link is one address in front of one node.
type Link struct {
	proxy  *toxiproxy.Proxy
	meters []*meter

	mu       sync.Mutex // guards the rest, and orders what changes the proxy
	holes    []*hole
	scissors []*scissors
}

// Link listens on loopback and leads to upstream, until Close. Its connections are
// closed by a reset, not by a goodbye, when the link is Cut.
func (n *Net) Link(upstream string) (*Link, error) {
	name := fmt.Sprintf("link%d", n.links.Add(1))
	l := &Link{proxy: toxiproxy.NewProxy(n.server, name, "127.0.0.1:0", upstream)}
	for _, s := range streams {
		// A toxicity of 0 changes no byte, but makes toxiproxy close with SO_LINGER 0.
		if _, err := l.add(s, "reset_peer", 0, `{}`); err != nil {
			return nil, err
		}
		toxic, err := l.add(s, meterType, 1, `{}`)
		if err != nil {
			return nil, err
		}
		l.meters = append(l.meters, toxic.(*meter))
	}
	if err := l.proxy.Start(); err != nil {
		return nil, fmt.Errorf("start link to %s: %w", upstream, err)
	}
	return l, nil
}

// Addr is where the link listens, host:port. It never changes.
func (l *Link) Addr() string { return l.proxy.Listen }

// add puts a toxic into one direction. The name by which it is removed is its type
// and the direction.
func (l *Link) add(direction, kind string, toxicity float32, attributes string) (toxics.Toxic, error) {
	spec, err := json.Marshal(map[string]any{
		"name": kind + "_" + direction, "type": kind, "stream": direction,
		"toxicity": toxicity, "attributes": json.RawMessage(attributes),
	})
	if err != nil {
		return nil, fmt.Errorf("add toxic %s: %w", kind, err)
	}
	w, err := l.proxy.Toxics.AddToxicJson(bytes.NewReader(spec))
	if err != nil {
		return nil, fmt.Errorf("add toxic %s: %w", kind, err)
	}
	return w.Toxic, nil
}

// both puts a toxic into both directions.
func (l *Link) both(kind, format string, args ...any) ([]toxics.Toxic, error) {
	var added []toxics.Toxic
	for _, s := range streams {
		t, err := l.add(s, kind, 1, fmt.Sprintf(format, args...))
		if err != nil {
			return nil, err
		}
		added = append(added, t)
	}
	return added, nil
}

// Latency delays each direction by d, give or take jitter.
func (l *Link) Latency(d, jitter time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.both("latency", `{"latency": %d, "jitter": %d}`, d.Milliseconds(), jitter.Milliseconds())
	return err
}

// Slice cuts the stream into pieces of so many bytes.
func (l *Link) Slice(size int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.both("slicer", `{"average_size": %d, "size_variation": 0, "delay": 0}`, size)
	return err
}

// Bandwidth lets so many KB a second pass in each direction.
func (l *Link) Bandwidth(kilobytes int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.both("bandwidth", `{"rate": %d}`, kilobytes)
	return err
}

// BlackHole makes every connection half open: what is sent is swallowed, and
// nothing is closed. New connections are accepted and hear nothing.
func (l *Link) BlackHole() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	added, err := l.both(holeType, `{}`)
	for _, t := range added {
		l.holes = append(l.holes, t.(*hole))
	}
	return err
}

// CutAfter closes each connection after so many bytes towards the node, the ones
// that are open counted from now.
func (l *Link) CutAfter(n int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, err := l.add(streams[0], scissorsType, 1, fmt.Sprintf(`{"after": %d}`, n))
	if err == nil {
		l.scissors = append(l.scissors, t.(*scissors))
	}
	return err
}

// Cut resets every connection. New ones are welcome.
func (l *Link) Cut() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proxy.Stop()
	return l.proxy.Start()
}

// Heal takes every toxic away. Connections that lost bytes are closed.
func (l *Link) Heal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, kind := range []string{"latency", "slicer", "bandwidth", holeType, scissorsType} {
		for _, s := range streams {
			if name := kind + "_" + s; l.proxy.Toxics.GetToxic(name) != nil {
				if err := l.proxy.Toxics.RemoveToxic(context.Background(), name); err != nil {
					return fmt.Errorf("remove toxic %s: %w", name, err)
				}
			}
		}
	}
	return nil
}

// Passed is how many bytes came to the link from the sidecars and from the node.
func (l *Link) Passed() (up, down int64) {
	return l.meters[0].passed.Load(), l.meters[1].passed.Load()
}

// Connections is how many connections there have been.
func (l *Link) Connections() int64 { return l.meters[0].connections.Load() }

// Swallowed is how many bytes the black holes have taken.
func (l *Link) Swallowed() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var n int64
	for _, h := range l.holes {
		n += h.swallowed.Load()
	}
	return n
}

// CutConnections is how many connections CutAfter has ended.
func (l *Link) CutConnections() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var n int64
	for _, s := range l.scissors {
		n += s.cut.Load()
	}
	return n
}

// Close resets every connection and stops listening.
func (l *Link) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proxy.Stop()
}
