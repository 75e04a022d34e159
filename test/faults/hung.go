package faults

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/internal/localbroker"
)

// hangTime is how long a node may take to give a plain client a connection.
const hangTime = 15 * time.Second

// hung says in words that a majority of a cluster's nodes runs and that none of those
// gives a plain AMQP client a connection; "" when that is not so. Nodes that the rig
// stopped do not run.
func hung(ctx context.Context, members []*localbroker.Member) string {
	var running []*localbroker.Member
	for _, m := range members {
		if pid, err := m.PID(); err == nil && !stopped(pid) {
			running = append(running, m)
		}
	}
	if len(members) == 1 || len(running) <= len(members)/2 {
		return ""
	}
	reasons := make([]error, len(running))
	var asking sync.WaitGroup
	for i, m := range running {
		asking.Go(func() { reasons[i] = connects(m.URL(), hangTime) })
	}
	asking.Wait()
	for _, err := range reasons {
		if err == nil || ctx.Err() != nil {
			return ""
		}
	}
	return fmt.Sprintf("RabbitMQ hung: %d of its %d nodes run, and none gives a plain client a connection within %v (%v)",
		len(running), len(members), hangTime, reasons[0])
}

// connects opens a connection without anything of Warren's.
func connects(url string, within time.Duration) error {
	conn, err := amqp.DialConfig(url, amqp.Config{Dial: amqp.DefaultDial(within)})
	if err != nil {
		return err
	}
	_ = conn.Close()
	return nil
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
