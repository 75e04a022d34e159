package rig

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/warrenmesh/warren/test/internal/product"
)

// Patterns of policies.
const (
	EveryQueue = ".*"
	// WorkQueues matches all queues but the dead-letter queues. Messages that a policy
	// removes from a dead-letter queue are lost, and no declaration of a queue can keep
	// them.
	WorkQueues = `^(?!.*\.dead$).*`
	// ConsumedQueues matches the queues with consumers. Under a policy with expires, RabbitMQ
	// deletes queues without consumers, whatever they contain, unless they are classic
	// and declared again in time. Sidecars declare them every 30 s.
	ConsumedQueues = `^(?!.*\.(dead|members|retry\..*)$).*`
	// DelayQueues matches the delay queues. Their messages expire all the time.
	DelayQueues = `.*\.retry\..*`
)

// SetPolicy sets a policy on queues, as rabbitmqctl set_policy does, or changes it. One
// with drop-head waits until the queues have moved what they gave up before: a quorum
// queue dead-letters at most once under drop-head, and RabbitMQ deletes what waits when
// it changes to that (measured on 3.10.8 and 4.3.6, see docs/retry-and-dead-letters.md). In
// a delay queue in use something expires at any time: there drop-head is set before the
// first event.
func (w *World) SetPolicy(name, pattern, definition string) {
	w.Helper()
	if strings.Contains(definition, "drop-head") && !w.Within(drainPatience, func() bool { return w.heldBack() == 0 }) {
		w.Logf("%d dead letters have not been moved yet, and policy %s will delete them", w.heldBack(), definition)
	}
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace
	if said := w.Call(`rabbit_policy:parse_set(<<"%s">>, <<"%s">>, <<"%s">>, <<"%s">>, <<"0">>, <<"queues">>, <<"rig">>).`, w.VHost, name, quote(pattern), quote(definition)); said != "ok" {
		w.Fatalf("set policy %s: %s", definition, said)
	}
}

// ClearPolicy clears a policy, if it is there.
func (w *World) ClearPolicy(name string) {
	w.Helper()
	w.Call(`catch rabbit_policy:delete(<<"%s">>, <<"%s">>, <<"rig">>), ok.`, w.VHost, name)
}

// PolicyOf is the name of the policy in force on a queue; "" for none.
func (w *World) PolicyOf(queue string) string {
	w.Helper()
	return strings.Trim(w.Call(`case rabbit_amqqueue:lookup(rabbit_misc:r(<<"%s">>, queue, <<"%s">>)) of
{ok, Q} -> case rabbit_policy:name(Q) of N when is_binary(N) -> binary_to_list(N); _ -> "" end; _ -> "" end.`, w.VHost, queue), `"[]`)
}

// PolicyInForce waits until a policy is in force on the queue of the unordered subscription.
// It returns this as the proof.
func (w *World) PolicyInForce(name, definition string) string {
	w.Helper()
	queue := w.QueueName(Billing)
	w.Await("policy "+name+" is in force", w.Slowly(BootTime/8), func() bool { return w.PolicyOf(queue) == name })
	return fmt.Sprintf("%s is in force on %s: %s", name, queue, definition)
}

// PolicyReported checks that the sidecar's log or metrics report that a policy removed
// messages from its queues. AMQP has no way to query policies, so only their effects
// can be reported.
func (w *World) PolicyReported(s *Service, what string) {
	w.Helper()
	if !w.Within(w.Slowly(20*time.Second), func() bool { return w.tells(s) }) {
		w.Errorf("%s does not report what the policy removed: %s", s.Name, what)
	}
}

func (w *World) tells(s *Service) bool {
	inLog := s.Logged(func(r product.Record) bool {
		return r.Text("level") == "WARN" && slices.Contains(PolicyReasons, r.Text("reason")) || strings.Contains(r.Message(), "by a policy")
	})
	if inLog {
		return true
	}
	page, err := s.Scrape(w.Context())
	if err != nil {
		return false
	}
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, "warren_") || !strings.Contains(line, "dead") && !strings.Contains(line, "polic") {
			continue
		}
		if slices.ContainsFunc(PolicyReasons, func(reason string) bool { return strings.Contains(line, `"`+reason+`"`) }) && !strings.HasSuffix(strings.TrimSpace(line), " 0") {
			return true
		}
	}
	return false
}

// PolicyReasons lists the reasons of dead letters that a policy causes.
var PolicyReasons = []string{"expired", "delivery-limit", "max-length"}
