package rig

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/warrenmesh/warren/test/faults/foreign"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/internal/rawamqp"
)

const (
	// quiet is how long nothing may be delivered before the run counts as drained.
	quiet = 500 * time.Millisecond
	// retryWait is the longest backoff a scenario declares.
	retryWait = 500 * time.Millisecond
	// drainPatience bounds the wait for the drain. Events that are missing then are
	// searched for in the queues, and are lost when they are not there.
	drainPatience = 45 * time.Second
	// DeadSuffix ends the name of a dead-letter queue.
	DeadSuffix = ".dead"
)

// Finish ends the load, waits until the queues are drained, takes the last samples of
// the processes, and collects the messages left in the queues.
func (w *World) Finish() {
	w.Helper()
	w.Load.StopPublishing()
	w.Drain()
	w.Recorder.Drained()
	for range 4 {
		w.Keep(100 * time.Millisecond)
		w.sampleOnce(w.Context())
	}
	w.countPaths()
	w.Load.Stop()
	w.collect()
}

// Drain waits until no queue and no service holds an event, and nothing has been
// delivered for a while. The while is longer than the delay of a retry, because no
// count includes an event that waits in a sidecar.
func (w *World) Drain() {
	w.Helper()
	still := quiet
	if w.Declared.Retry != "" {
		still += 2 * retryWait
	}
	last, since := -1, time.Now()
	done := w.Within(drainPatience, func() bool {
		if n := w.Recorder.Delivered(); n != last || w.unsettled() > 0 {
			last, since = n, time.Now()
			return false
		}
		if time.Since(since) < still {
			return false
		}
		if w.Waiting() > 0 {
			since = time.Now() // not at every poll, because asking costs time
			return false
		}
		return true
	})
	if !done {
		w.Logf("not drained within %v: %d events wait, services hold %d", drainPatience, w.Waiting(), w.unsettled())
	}
}

// unsettled is how many unsettled deliveries the services hold.
func (w *World) unsettled() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	var n int64
	for _, s := range w.Subscribers {
		n += s.Unsettled.Load()
	}
	return n
}

// ready is an Erlang expression of Q: how many messages are ready in the queue, 1 if
// nobody answers. A quorum queue is asked itself: rabbit_amqqueue:stat waits for it for
// 250 ms, and then says that it is empty.
const ready = `case case amqqueue:get_type(Q) of
rabbit_quorum_queue -> catch ra:local_query(amqqueue:get_pid(Q), fun rabbit_fifo:query_stat/1, 10000);
_ -> catch rabbit_amqqueue:stat(Q) end of {ok, {_, {N, _}}, _} -> N; {ok, N, _} when is_integer(N) -> N; _ -> 1 end`

// Waiting is how many messages are ready in queues other than dead-letter queues.
func (w *World) Waiting() int { return w.count(ready, "not ") }

// queues lists the queues with ready messages.
func (w *World) queues() []string {
	w.Helper()
	list := w.Call(`lists:flatten(lists:join(",", [binary_to_list(element(4, amqqueue:get_name(Q)))
|| Q <- rabbit_amqqueue:list(<<"%s">>), %s > 0])).`, w.VHost, ready)
	return strings.FieldsFunc(strings.Trim(list, `"[]`), func(r rune) bool { return r == ',' })
}

// rest is how many messages are in queues other than dead-letter queues, including
// unacknowledged ones and those that are retried in a loop. A quorum queue updates this
// count only every few seconds.
func (w *World) rest() int {
	return w.count(`case catch rabbit_amqqueue:info(Q, [messages]) of [{_, N}] when is_integer(N) -> N; _ -> 0 end`, "not ")
}

// DeadLetters is how many messages are ready in the dead-letter queues.
func (w *World) DeadLetters() int { return w.count(ready, "") }

// count sums an Erlang expression of Q over the queues that are, or are not,
// dead-letter queues.
func (w *World) count(of, not string) int {
	w.Helper()
	n, err := strconv.Atoi(w.Call(`lists:sum([%s || Q <- rabbit_amqqueue:list(<<"%s">>), %slists:suffix("%s", binary_to_list(element(4, amqqueue:get_name(Q))))]).`, of, w.VHost, not, DeadSuffix))
	if err != nil {
		w.Fatal(err)
	}
	return n
}

// heldBack is how many messages quorum queues have dropped and not yet moved to their
// dead-letter queue, 1 for a queue that does not answer. The queue's counts do not
// include them.
func (w *World) heldBack() int {
	return w.count(`case amqqueue:get_type(Q) of rabbit_quorum_queue -> case catch ra:local_query(amqqueue:get_pid(Q), fun rabbit_fifo:overview/1, 10000) of
{ok, {_, O}, _} -> maps:get(num_discarded, O, 0) + maps:get(num_discard_checked_out, O, 0); _ -> 1 end; _ -> 0 end`, "not ")
}

// handOver is how long a quorum queue waits before it retries to move a message to its
// dead-letter queue: RabbitMQ's dead_letter_worker_publisher_confirm_timeout is three
// minutes.
const handOver = 200 * time.Second

// settleLetters waits until no more dead letters arrive. The broker moves them
// asynchronously.
func (w *World) settleLetters() {
	w.Helper()
	last, since := w.DeadLetters(), time.Now()
	w.Within(drainPatience, func() bool {
		w.Keep(quiet / 2)
		if n := w.DeadLetters(); n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) >= 2*quiet
	})
	held := w.heldBack()
	if held == 0 {
		return
	}
	began := time.Now()
	w.Within(handOver, func() bool {
		w.Keep(quiet)
		return w.heldBack() == 0
	})
	w.Logf("%d messages were held back by their queues, %d after %v", held, w.heldBack(), time.Since(began).Round(time.Second))
}

// collect empties the queues into the history: leftovers and dead letters.
func (w *World) collect() {
	w.Helper()
	if w.DeadLetters() > 0 || w.heldBack() > 0 {
		w.settleLetters()
	}
	for _, name := range w.queues() {
		messages, err := rawamqp.Take(w.Context(), w.URL(), name, rawamqp.Remove)
		if err != nil {
			w.Errorf("collect from queue %s: %v", name, err)
		}
		for i := range messages {
			w.found(name, &messages[i])
		}
	}
}

// found records a message of a queue. The scenario itself handles messages that are not
// of the load.
func (w *World) found(queue string, m *rawamqp.Got) {
	if TagOf(m) != "" {
		return
	}
	value, _ := m.Header("ce-id")
	for _, s := range w.Declared.Subscriptions() {
		if !strings.HasPrefix(queue, w.Namespace+"."+s) {
			continue
		}
		full := w.Namespace + "/" + s
		if !strings.HasSuffix(queue, DeadSuffix) {
			w.Recorder.Left(history.Leftover{Subscription: full, ID: value.Text()})
			continue
		}
		attempts, _ := m.Header("warren-dead-letter-attempts")
		w.Recorder.DeadLetter(history.DeadLetter{Subscription: full, ID: value.Text(), Reason: reasonOf(m), Attempts: uint32(attempts.Int())}) //nolint:gosec // the attempts fit into 32 bits
	}
}

// brokerReasons maps the broker's reasons for dead-lettering a message to Warren's.
var brokerReasons = map[string]string{"expired": "expired", "maxlen": "max-length", "delivery_limit": "delivery-limit", "rejected": "set-aside"}

// reasonOf is why a message is a dead letter, as Warren or the broker recorded it.
func reasonOf(m *rawamqp.Got) string {
	if reason, ok := m.Header("warren-dead-letter-reason"); ok {
		return reason.Text()
	}
	// The first death of a retried message is the end of its delay, which returned it
	// to its queue.
	reason := ""
	for _, death := range deathsOf(m) {
		queue, _ := death.Header("queue")
		word, _ := death.Header("reason")
		if !strings.Contains(queue.Text(), ".retry.") && reason == "" {
			reason = brokerReasons[word.Text()]
		}
	}
	return reason
}

// deathsOf returns the entries of x-death, the latest death first.
func deathsOf(m *rawamqp.Got) (deaths []rawamqp.Properties) {
	value, _ := m.Header("x-death")
	for _, entry := range value.Items() {
		deaths = append(deaths, rawamqp.Properties{Headers: entry.Fields()})
	}
	return deaths
}

// TagOf is the tag of a message of another program; "" for a message of the load.
func TagOf(m *rawamqp.Got) string {
	source, _ := m.Header("ce-source")
	return cmp.Or(foreign.TagOf(m.AppID), foreign.TagOf(source.Text()))
}
