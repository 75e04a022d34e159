package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/internal/localbroker"
)

const (
	// askTime is how long a node may take to serve a plain client.
	askTime = 10 * time.Second
	// hangTime is how long a majority that runs and serves nobody may do so until it is
	// said to hang. An election takes milliseconds.
	hangTime = 25 * time.Second
)

// plainClient asks the nodes of a cluster again and again for what any client needs,
// without anything of Warren's, to tell a broker that hangs from a Warren that does.
type plainClient struct {
	ask func(ctx context.Context) error // nil when a node served, or none need be expected to

	mu      sync.Mutex    // guards the rest
	since   time.Time     // when the outage began that lasts; zero for none
	longest time.Duration // outage
	reason  error         // of that one
}

func newPlainClient(members []*localbroker.Member) *plainClient {
	return &plainClient{ask: func(ctx context.Context) error { return askAny(ctx, members) }}
}

// run asks once a second until ctx ends.
func (p *plainClient) run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for ctx.Err() == nil {
		began := time.Now()
		err := p.ask(ctx)
		if ctx.Err() == nil {
			p.note(began, time.Now(), err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// note takes down how it went.
func (p *plainClient) note(began, ended time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.since = time.Time{}
		return
	}
	if p.since.IsZero() {
		p.since = began
	}
	if outage := ended.Sub(p.since); outage > p.longest {
		p.longest, p.reason = outage, err
	}
}

// hung says in words that the broker hung, "" when it did not.
func (p *plainClient) hung() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.longest < hangTime {
		return ""
	}
	return fmt.Sprintf("RabbitMQ hung: for %v no node of a majority that runs served a plain client (%v)", p.longest.Round(time.Second), p.reason)
}

// askAny asks all nodes that run and returns when one has served. Without a majority
// that at least accepts connections, nothing is served, and that is no hang.
func askAny(ctx context.Context, members []*localbroker.Member) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var running []*localbroker.Member
	for _, m := range members {
		if pid, err := m.PID(); err == nil && !stopped(pid) {
			running = append(running, m)
		}
	}
	answers := make(chan error, len(running))
	for _, m := range running {
		go func() { answers <- serves(ctx, m.URL()) }() // ends with ctx
	}
	var reasons []error
	for range running {
		err := <-answers
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.ECONNREFUSED) { // it boots
			reasons = append(reasons, err)
		}
	}
	if len(reasons) <= len(members)/2 {
		return nil
	}
	return errors.Join(reasons...)
}

// serves opens a connection and declares a queue, which the cluster has to agree on.
func serves(ctx context.Context, url string) error {
	var raw net.Conn
	conn, err := amqp.DialConfig(url, amqp.Config{Dial: func(network, addr string) (c net.Conn, err error) {
		c, err = new(net.Dialer).DialContext(ctx, network, addr)
		raw = c
		if err == nil { // nothing else ends a wait for an answer
			context.AfterFunc(ctx, func() { _ = c.Close() })
		}
		return c, err
	}})
	if err != nil {
		return err
	}
	defer func() { _ = raw.Close() }() // its queue is exclusive and goes with it
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	_, err = ch.QueueDeclare("", false, true, true, false, nil)
	return err
}

// stopped reports whether a process is stopped by a signal.
func stopped(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(after, "T")
}
