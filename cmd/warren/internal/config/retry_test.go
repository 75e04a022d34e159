package config

import (
	"strings"
	"testing"

	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli/clitest"
)

// Every delay of a subscription is a queue: what RabbitMQ would refuse to declare, or what
// two subscriptions would share, is found before a sidecar does.
func TestValidateKnowsTheQueuesInWhichRetriesWait(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spec string
		want string // in the output; "" means that it is valid
	}{
		"delays that are as long as a queue may":        {"retry: {attempts: 100, backoff: {maxInterval: 1176h}}", ""},
		"delays that are longer":                        {"retry: {attempts: 100, backoff: {maxInterval: 1176h0m1s}}", "flow.yaml:13: spec.retry.backoff.maxInterval: makes retries wait 1176h0m1s in a queue: want at most 1176h"},
		"a maximum that no attempt gets to":             {"retry: {attempts: 5, backoff: {maxInterval: 10000h}}", ""},
		"long delays in order, which need no queue":     {"retry: {attempts: 100, backoff: {maxInterval: 10000h}}, ordering: PerKey", "spec.ordering"}, // the topic has no partitions
		"long delays by the broker":                     {"retry: {strategy: BrokerDelay, attempts: 100, backoff: {maxInterval: 10000h}}", ""},
		"two delays within a millisecond":               {"retry: {attempts: 3, backoff: {baseInterval: 1ms, maxInterval: 1500us}}", ""},
		"a maximum within a millisecond of a delay":     {"retry: {attempts: 9, backoff: {baseInterval: 10ms, maxInterval: 40200us}}", ""},
		"dead letters in a queue in which retries wait": {"queue: {name: q}, deadLetter: {queue: q.retry.1000ms}", "spec.deadLetter.queue"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			flow := clitest.FlowYAML + "  " + strings.ReplaceAll(test.spec, ", ordering", "\n  ordering")
			flow = strings.ReplaceAll(flow, ", deadLetter", "\n  deadLetter") + "\n"
			r, _ := validated(t, clitest.ConfigDir(t, map[string]string{"broker.yaml": clitest.BrokerYAML, "flow.yaml": flow}))
			if test.want == "" {
				if r.Code != cli.ExitOK {
					t.Errorf("%+v", r)
				}
				return
			}
			if r.Code != cli.ExitFailure || strings.Count(r.Out, "/flow.yaml:") != 1 || !strings.Contains(r.Out, test.want) {
				t.Errorf("exit %d:\n%s\nwant one problem with %q", r.Code, r.Out, test.want)
			}
		})
	}
}
