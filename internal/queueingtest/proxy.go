package queueingtest

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy stands between drivers and a broker on TCP, and can cut and hold.
type Proxy struct {
	// Set at construction.
	upstream string
	listener net.Listener
	wg       sync.WaitGroup

	// Guarded by mu.
	mu     sync.Mutex
	closed bool
	links  map[*link]struct{}
	flow   chan struct{} // closed while replies flow
}

// NewProxy starts a proxy to upstream ("host:port") on a free loopback port. It
// ends with the test.
func NewProxy(t testing.TB, upstream string) *Proxy {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen for the proxy to %s: %v", upstream, err)
	}
	p := &Proxy{upstream: upstream, listener: listener, links: map[*link]struct{}{}, flow: make(chan struct{})}
	close(p.flow)
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Addr returns the address drivers dial instead of the broker's.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Cut closes every connection at both ends. New ones are accepted at once.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.cut()
	}
}

// HoldReplies keeps back what the broker sends, on present and later connections,
// until release is called, which is idempotent. What it had sent is not lost.
func (p *Proxy) HoldReplies() (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	flow := make(chan struct{})
	p.flow = flow
	return sync.OnceFunc(func() { close(flow) })
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		server, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.upstream)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.link(&link{proxy: p, client: client, server: server, done: make(chan struct{})})
	}
}

func (p *Proxy) link(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		l.cut()
		return
	}
	p.links[l] = struct{}{}
	p.wg.Go(func() {
		defer l.cut()
		_, _ = io.Copy(l.server, l.client)
	})
	p.wg.Go(func() {
		defer l.forget()
		_, _ = io.Copy(gate{l}, l.server)
	})
}

func (p *Proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.closed = true
	for l := range p.links {
		l.cut()
	}
	p.mu.Unlock()
	p.wg.Wait()
}

// link is one proxied connection.
type link struct {
	proxy          *Proxy
	client, server net.Conn
	once           sync.Once
	done           chan struct{} // closed by cut
}

func (l *link) cut() {
	l.once.Do(func() {
		close(l.done)
		_ = l.client.Close()
		_ = l.server.Close()
	})
}

func (l *link) forget() {
	l.cut()
	l.proxy.mu.Lock()
	delete(l.proxy.links, l)
	l.proxy.mu.Unlock()
}

// gate writes to the client while replies flow.
type gate struct{ link *link }

// Write implements io.Writer.
func (g gate) Write(b []byte) (int, error) {
	g.link.proxy.mu.Lock()
	flow := g.link.proxy.flow
	g.link.proxy.mu.Unlock()
	select {
	case <-flow:
		return g.link.client.Write(b)
	case <-g.link.done:
		return 0, net.ErrClosed
	}
}
