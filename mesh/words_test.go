package mesh_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/warrenmesh/warren/mesh"
)

// The words are those of the kinds; a value that has none shows its type and number, so
// that a log line about a configuration from a newer control plane can be read.
func TestEveryValueHasAWord(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		value fmt.Stringer
		want  string
	}{
		{mesh.RabbitMQ, "RabbitMQ"},
		{mesh.Memory, "Memory"},
		{mesh.BrokerType(0), "BrokerType(0)"},
		{mesh.BrokerType(3), "BrokerType(3)"},
		{mesh.Manage, "Manage"},
		{mesh.Verify, "Verify"},
		{mesh.Ignore, "Ignore"},
		{mesh.TopologyPolicy(0), "TopologyPolicy(0)"},
		{mesh.TopologyPolicy(4), "TopologyPolicy(4)"},
		{mesh.OnNack, "nack"},
		{mesh.OnConfirmTimeout, "confirm-timeout"},
		{mesh.OnConnectFailure, "connect-failure"},
		{mesh.OnChannelClosed, "channel-closed"},
		{mesh.RetryOn(0), "RetryOn(0)"},
		{mesh.RetryOn(-1), "RetryOn(-1)"},
		{mesh.RetryOn(5), "RetryOn(5)"},
		{mesh.Unordered, "None"},
		{mesh.PerKey, "PerKey"},
		{mesh.Ordering(-1), "Ordering(-1)"},
		{mesh.Ordering(2), "Ordering(2)"},
		{mesh.Continue, "Continue"},
		{mesh.Hold, "Hold"},
		{mesh.KeyPolicy(2), "KeyPolicy(2)"},
		{mesh.DelayQueues, "DelayQueues"},
		{mesh.BrokerDelay, "BrokerDelay"},
		{mesh.RetryStrategy(2), "RetryStrategy(2)"},
		{mesh.Exact, "exact"},
		{mesh.Prefix, "prefix"},
		{mesh.Suffix, "suffix"},
		{mesh.All, "all"},
		{mesh.Any, "any"},
		{mesh.Not, "not"},
		{mesh.FilterOp(0), "FilterOp(0)"},
		{mesh.FilterOp(-1), "FilterOp(-1)"},
		{mesh.FilterOp(7), "FilterOp(7)"},
	} {
		if got := test.value.String(); got != test.want {
			t.Errorf("%T %q, want %q", test.value, got, test.want)
		}
	}
}

func TestParseRetryOnIsTheInverseOfString(t *testing.T) {
	t.Parallel()
	all := []mesh.RetryOn{mesh.OnNack, mesh.OnConfirmTimeout, mesh.OnConnectFailure, mesh.OnChannelClosed}
	for _, on := range all {
		if got, err := mesh.ParseRetryOn(on.String()); err != nil || got != on {
			t.Errorf("%s comes back as %s, %v", on, got, err)
		}
	}
	for _, word := range []string{"", "Nack", "nack ", "confirm_timeout", "RetryOn(0)", "nack,channel-closed"} {
		got, err := mesh.ParseRetryOn(word)
		if err == nil || got != 0 {
			t.Errorf("%q is %s, %v", word, got, err)
			continue
		}
		for _, on := range all {
			if !strings.Contains(err.Error(), on.String()) {
				t.Errorf("the error does not offer %s: %v", on, err)
			}
		}
	}
}

func TestABrokerOfAnUnknownTypeCanDoNothing(t *testing.T) {
	t.Parallel()
	for _, typ := range []mesh.BrokerType{0, -1, mesh.Memory + 1} {
		if got := typ.Capabilities(); got != (mesh.Capabilities{}) {
			t.Errorf("%s can do %+v", typ, got)
		}
	}
}

// Whatever asks for what Memory lacks is refused: only what needs no server is there.
func TestMemoryKeepsNothingAndKnowsNoNodes(t *testing.T) {
	t.Parallel()
	m, r := mesh.Memory.Capabilities(), mesh.RabbitMQ.Capabilities()
	if m.Durable || m.Priorities || m.Expiration || m.Networked || m.QuorumQueue || m.Headers {
		t.Errorf("Memory can do %+v", m)
	}
	if !m.Partitions || !m.Delays {
		t.Errorf("Memory has no order or no delays: %+v", m)
	}
	if r != (mesh.Capabilities{Durable: true, Priorities: true, Expiration: true, Networked: true, QuorumQueue: true, Headers: true, Partitions: true, Delays: true}) {
		t.Errorf("RabbitMQ can do %+v, want everything", r)
	}
}
