package faults

import (
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/test/faults/history"
)

const (
	// quiet is how long nothing must be delivered until the run counts as drained.
	quiet = 500 * time.Millisecond
	// retryWait is the longest backoff a scenario declares.
	retryWait = 500 * time.Millisecond
	// drainPatience bounds the wait for it. What is left then is looked for in the
	// queues, and lost when it is not there.
	drainPatience = 45 * time.Second
	deadSuffix    = ".dead"
)

// finish ends the load, waits until the queues are drained, looks at the processes
// as they are left, and collects what lies in the queues.
func (w *World) finish() {
	w.Helper()
	w.Load.StopPublishing()
	w.drain()
	w.Recorder.Drained()
	for range 4 {
		w.keep(100 * time.Millisecond)
		w.sampleOnce(w.Context())
	}
	w.Load.Stop()
	w.collect()
}

// drain waits until nothing waits in a queue or in the hands of a service, and
// nothing has been delivered for a while: longer than a retry waits, for an event
// that is parked is nowhere to be seen.
func (w *World) drain() {
	w.Helper()
	still := quiet
	if w.declared.retry != "" {
		still += 2 * retryWait
	}
	last, since := -1, time.Now()
	done := w.within(drainPatience, func() bool {
		if n := w.Recorder.Delivered(); n != last || w.unsettled() > 0 {
			last, since = n, time.Now()
			return false
		}
		if time.Since(since) < still {
			return false
		}
		if w.waiting() > 0 {
			since = time.Now() // asking is not free: not at every poll
			return false
		}
		return true
	})
	if !done {
		w.Logf("not drained within %v: %d events wait, services hold %d", drainPatience, w.waiting(), w.unsettled())
	}
}

// unsettled is how many deliveries are in the hands of the services.
func (w *World) unsettled() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	var n int64
	for _, s := range w.subscribers {
		n += s.Unsettled.Load()
	}
	return n
}

// waiting is how many messages are ready in queues that are no dead-letter queues.
func (w *World) waiting() int {
	w.Helper()
	n, err := strconv.Atoi(w.call(`lists:sum([case catch rabbit_amqqueue:stat(Q) of {ok, R, _} -> R; _ -> 1 end
|| Q <- rabbit_amqqueue:list(<<"%s">>), not lists:suffix("%s", binary_to_list(element(4, amqqueue:get_name(Q))))]).`, w.vhost, deadSuffix))
	if err != nil {
		w.Fatal(err)
	}
	return n
}

// queues are the names of the queues in which something is ready.
func (w *World) queues() []string {
	w.Helper()
	list := w.call(`lists:flatten(lists:join(",", [binary_to_list(element(4, amqqueue:get_name(Q)))
|| Q <- rabbit_amqqueue:list(<<"%s">>), case catch rabbit_amqqueue:stat(Q) of {ok, 0, _} -> false; _ -> true end])).`, w.vhost)
	return strings.FieldsFunc(strings.Trim(list, `"[]`), func(r rune) bool { return r == ',' })
}

// collect empties the queues into the history: what was left, and the dead letters.
func (w *World) collect() {
	w.Helper()
	names := w.queues()
	if len(names) == 0 {
		return
	}
	conn, err := amqp.Dial(w.url())
	if err != nil {
		w.Fatalf("dial the broker: %v", err)
	}
	defer func() { _ = conn.Close() }()
	for _, name := range names {
		w.empty(conn, name)
	}
}

// empty takes everything out of a queue. A single-active queue answers no get, so it
// consumes.
func (w *World) empty(conn *amqp.Connection, queue string) {
	w.Helper()
	ch, err := conn.Channel()
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = ch.Close() }()
	deliveries, err := ch.Consume(queue, "", true, false, false, false, nil)
	if err != nil {
		w.Errorf("collect from queue %s: %v", queue, err)
		return
	}
	for {
		still := time.NewTimer(quiet)
		select {
		case m, ok := <-deliveries:
			still.Stop()
			if !ok {
				return
			}
			w.found(queue, m)
		case <-still.C:
			return
		}
	}
}

// found records a message that lay in a queue.
func (w *World) found(queue string, m amqp.Delivery) {
	id, _ := m.Headers["ce-id"].(string)
	for _, s := range w.declared.subscriptions() {
		if !strings.HasPrefix(queue, w.namespace+"."+s) {
			continue
		}
		full := w.namespace + "/" + s
		if !strings.HasSuffix(queue, deadSuffix) {
			w.Recorder.Left(history.Leftover{Subscription: full, ID: id})
			continue
		}
		reason, _ := m.Headers["warren-dead-letter-reason"].(string)
		w.Recorder.DeadLetter(history.DeadLetter{Subscription: full, ID: id, Reason: reason, Attempts: number(m.Headers["warren-dead-letter-attempts"])})
	}
}

// number reads an integer header of any AMQP type.
func number(v any) uint32 {
	switch n := v.(type) {
	case int64:
		return uint32(n) //nolint:gosec // attempts
	case int32:
		return uint32(n) //nolint:gosec // attempts
	case uint32:
		return n
	default:
		return 0
	}
}

// url is the AMQP URL of the first member that runs, with the run's vhost.
func (w *World) url() string {
	for _, m := range w.Members {
		if _, err := m.PID(); err == nil {
			return strings.TrimSuffix(m.URL(), "/") + "/" + w.vhost
		}
	}
	w.Fatal("no broker runs")
	return ""
}
