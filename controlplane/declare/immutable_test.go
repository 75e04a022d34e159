package declare_test

import (
	"strings"
	"testing"
	"time"

	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/controlplane/source/file"
)

const head = "apiVersion: warrenmesh.io/v1alpha1\nkind: "

// sharded is a topic with the given partitions on line 6.
func sharded(partitions string) string {
	return head + "EventTopic\nmetadata: {name: orders, namespace: shop}\nspec:\n  brokerRef: {name: main}\n" + partitions
}

func declared(t *testing.T, text string) declare.Set {
	t.Helper()
	set, problems := file.Decode(file.File{Name: "topics.yaml", Data: []byte(text)})
	if len(problems) > 0 {
		t.Fatalf("the test's own objects are wrong: %v", problems)
	}
	return set
}

func inForce(objects []declare.Object) *declare.Commitments {
	c := declare.NewCommitments(time.Now)
	c.Commit(declare.Set{Objects: objects})
	return c
}

func TestPartitionsInForceNeverChange(t *testing.T) {
	t.Parallel()
	const eight = "  partitions: {count: 8}\n"
	const advice = ": partitions never change while a topic is in force, or events of one key would overtake each other; " +
		"put it back, or declare a new topic and move its subscriptions and publishers there"
	for _, c := range []struct{ name, was, now, want string }{
		{"another count is refused", eight, "  partitions: {count: 16}\n", "topics.yaml:6: spec.partitions.count: is 16, but the topic is in force with 8"},
		{"another key is refused", eight, "  partitions:\n    count: 8\n    key: subject\n", "topics.yaml:8: spec.partitions.key: is subject, but the topic is in force with partitionkey"},
		{"partitions for a topic without are refused", "", eight, "topics.yaml:6: spec.partitions: is {count: 8, key: partitionkey}, but the topic is in force without partitions"},
		{"no partitions for a topic with some are refused", eight, "", "topics.yaml:4: spec.partitions: is missing, but the topic is in force with {count: 8, key: partitionkey}"},
		{"the same is accepted", eight, "  partitions: {key: partitionkey, count: 8}\n", ""},
		{"a change of something else is accepted", eight, eight + "  routingKey: k\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := inForce(declared(t, sharded(c.was)).Objects).Violations(declared(t, sharded(c.now))).Problems
			switch {
			case c.want == "" && len(got) > 0:
				t.Errorf("unexpected problems %v", got)
			case c.want != "" && (len(got) != 1 || got[0].String() != c.want+advice):
				t.Errorf("got %v, want %s", got, c.want+advice)
			}
		})
	}
	t.Run("a topic that is not in force may have any", func(t *testing.T) {
		t.Parallel()
		other := strings.Replace(sharded(eight), "orders", "other", 1)
		for _, before := range [][]declare.Object{nil, declared(t, other).Objects} {
			if got := inForce(before).Violations(declared(t, sharded(eight))).Problems; len(got) > 0 {
				t.Errorf("unexpected problems %v", got)
			}
		}
	})
}

func TestTheQueuesInForceNeverChange(t *testing.T) {
	t.Parallel()
	subscription := func(more string) declare.Set {
		return declared(t, sharded("  partitions: {count: 8}\n")+"---\n"+head+
			"EventSubscription\nmetadata: {name: billing, namespace: shop}\nspec:\n  topicRef: {name: orders}\n  selector: {matchLabels: {app: billing}}\n"+more)
	}
	const delayed = "  retry: {strategy: BrokerDelay}\n"
	const keep = ": the queue has its delay for good; put it back, or name another queue and delete this one when it is empty"
	const perKey = "  ordering: PerKey\n"
	const advice = ": it would leave queues behind that go on to fill; put it back, or declare a new subscription and delete this one and its queues"
	for _, c := range []struct{ name, was, now, want string }{
		{"order for a subscription without is refused", "", perKey, "topics.yaml:14: spec.ordering: is PerKey, but the subscription is in force with None" + advice},
		{"no order for a subscription with it is refused", perKey, "", "topics.yaml:11: spec.ordering: is None, but the subscription is in force with PerKey" + advice},
		{"a change of something else is accepted", perKey, perKey + "  ackDeadline: 5s\n", ""},
		{"another strategy for the same queue is refused", "", delayed, "topics.yaml:14: spec.retry.strategy: is BrokerDelay, but the subscription is in force with DelayQueues" + keep},
		{"other delays of a queue that has them are refused", delayed, "  retry: {strategy: BrokerDelay, backoff: {baseInterval: 2s}}\n", "topics.yaml:14: spec.retry.backoff.baseInterval: is 2s, but the subscription is in force with 1s" + keep},
		{"another strategy for another queue is accepted", "", delayed + "  queue: {name: other}\n", ""},
		{"other delays of waiting rooms are accepted", "", "  retry: {backoff: {baseInterval: 2s}}\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := inForce(subscription(c.was).Objects).Violations(subscription(c.now)).Problems
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || got[0].String() != c.want) {
				t.Errorf("got %v, want %q", got, c.want)
			}
		})
	}
}

func TestADeletedObjectBindsForAWhile(t *testing.T) {
	t.Parallel()
	eight, four := declared(t, sharded("  partitions: {count: 8}\n")), declared(t, sharded("  partitions: {count: 4}\n"))
	now := time.Unix(1000, 0)
	c := declare.NewCommitments(func() time.Time { return now })
	if v := c.Violations(eight); v.Passes || len(v.Problems) > 0 {
		t.Fatalf("of nothing: got %+v", v)
	}
	c.Commit(eight)
	if v := c.Violations(four); v.Passes || len(v.Problems) != 1 || strings.Contains(v.Problems[0].Message, "by itself") {
		t.Errorf("while it is in force: got %+v", v)
	}
	c.Commit(declare.Set{})
	c.Commit(declare.Set{}) // a later set leaves the end where it was
	if v := c.Violations(four); !v.Passes || len(v.Problems) != 1 || !strings.HasSuffix(v.Problems[0].Message, "comes into force by itself after 00:21:40 UTC)") {
		t.Errorf("after its deletion: got %+v", v)
	}
	if v := c.Violations(eight); len(v.Problems) > 0 {
		t.Errorf("as it was: got %+v", v)
	}
	now = now.Add(declare.TombstoneLife)
	if v := c.Violations(four); len(v.Problems) > 0 {
		t.Errorf("in the end: got %+v", v)
	}
	c.Commit(four)
	c.Commit(declare.Set{})
	now = now.Add(declare.TombstoneLife - time.Second)
	if v := c.Violations(eight); !v.Passes {
		t.Errorf("the second time: got %+v", v)
	}
}
