package resolve

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warrenmesh/warren/controlplane/source/file"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// The names that are checked here are those that sidecars declare.
func TestTheNamesAreThoseThatSidecarsDeclare(t *testing.T) {
	t.Parallel()
	base := mesh.Subscription{
		Name: n("s"), Exchange: mesh.Exchange{Name: "orders", Type: "topic"}, Queue: mesh.Queue{Name: "q", Type: "quorum", Prefetch: 1},
		Attempts: 5, Backoff: mesh.Backoff{Base: time.Second, Max: 5 * time.Second}, DeadLetterQueue: "d",
	}
	for name, change := range map[string]func(*mesh.Subscription){
		"delay queues":     func(*mesh.Subscription) {},
		"one attempt":      func(s *mesh.Subscription) { s.Attempts = 1 },
		"no backoff":       func(s *mesh.Subscription) { s.Backoff = mesh.Backoff{} },
		"many attempts":    func(s *mesh.Subscription) { s.Attempts, s.Backoff.Max = 100, 24*time.Hour },
		"delay by broker":  func(s *mesh.Subscription) { s.Strategy = mesh.BrokerDelay },
		"own dead letters": func(s *mesh.Subscription) { s.DeadLetterQueue = s.Queue.DeadLetters() },
		"order by key": func(s *mesh.Subscription) {
			s.Ordering, s.Partitions = mesh.PerKey, mesh.Partitions{Count: 3, Key: "k"}
		},
		"classic":           func(s *mesh.Subscription) { s.Queue.Type = "classic" },
		"a whole second":    func(s *mesh.Subscription) { s.Backoff = mesh.Backoff{Base: time.Millisecond, Max: time.Millisecond} },
		"a fraction of one": func(s *mesh.Subscription) { s.Backoff = mesh.Backoff{Base: 1500 * time.Microsecond, Max: time.Minute} },
		"two within one": func(s *mesh.Subscription) {
			s.Backoff = mesh.Backoff{Base: time.Millisecond, Max: 1500 * time.Microsecond}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := base
			change(&s)
			layout := queueing.Layout(&s, mesh.Manage)
			if names := owned(&s); len(slices.Compact(slices.Sorted(slices.Values(names)))) != len(names) {
				t.Errorf("a name is checked twice, which looks like two owners: %v", names)
			}
			known := append(owned(&s), lettered(&s)...)
			for _, q := range layout.Queues {
				if !slices.Contains(known, q.Name) {
					t.Errorf("queue %s is declared and not checked; checked are %v", q.Name, known)
				}
			}
			for _, p := range layout.Partitioners {
				if p.Name != s.Queue.Partitioner() {
					t.Errorf("partitioner %s is declared, %s is checked", p.Name, s.Queue.Partitioner())
				}
			}
			for _, d := range s.Delays() {
				if !slices.ContainsFunc(layout.Queues, func(q queueing.Queue) bool { return q.Name == s.Queue.Delay(d) }) {
					t.Errorf("%s is checked and not declared", s.Queue.Delay(d))
				}
			}
		})
	}
}

// Objects of several namespaces, and brokers of several names, may be on one RabbitMQ.
func TestContradictionsAreFoundAcrossNamespacesAndNames(t *testing.T) {
	t.Parallel()
	object := func(kind, namespace, name, spec string) string {
		return "---\napiVersion: warrenmesh.io/v1alpha1\nkind: " + kind + "\nmetadata: {name: " + name + ", namespace: " + namespace + "}\nspec: {" + spec + "}\n"
	}
	brokers := func(a, b string) string {
		return object("EventBroker", "a", "main", a) + object("EventBroker", "b", "other", b)
	}
	const (
		local   = `nodes: [{address: "127.0.0.1:5672"}]`
		topicA  = `brokerRef: {name: main}, exchange: {name: xa}`
		topicB  = `brokerRef: {name: other}, exchange: {name: xb}`
		select1 = `topicRef: {name: t}, selector: {matchLabels: {app: x}}`
	)
	twoQueues := object("EventTopic", "a", "t", topicA) + object("EventTopic", "b", "t", topicB) +
		object("EventSubscription", "a", "s", select1+", queue: {name: q}") + object("EventSubscription", "b", "s", select1+", queue: {name: q}")
	for name, c := range map[string]struct{ text, want string }{
		"one address":                         {brokers(local, local) + twoQueues, `spec.queue.name: queue "q" on broker b/other belongs to EventSubscription a/s (`},
		"two names of the machine":            {brokers(local, `nodes: [{address: "localhost:5672"}]`) + twoQueues, `spec.queue.name: queue "q"`},
		"one node of several":                 {brokers(`nodes: [{address: "r1.example:5672"}, {address: "r2.example:5672"}]`, `nodes: [{address: "r3.example:5672"}, {address: "R2.example.:5672"}]`) + twoQueues, `spec.queue.name: queue "q"`},
		"another port":                        {brokers(local, `nodes: [{address: "127.0.0.1:5673"}]`) + twoQueues, ""},
		"another vhost":                       {brokers(local, local+", vhost: v") + twoQueues, ""},
		"a short host of two namespaces":      {brokers(`nodes: [{address: "rabbit:5672"}]`, `nodes: [{address: "rabbit:5672"}]`) + twoQueues, ""},
		"one exchange of two topics":          {brokers(local, local) + object("EventTopic", "a", "t", topicA) + object("EventTopic", "b", "t", strings.Replace(topicB, "xb", "xa", 1)), `spec.exchange.name: exchange "xa" on broker b/other belongs to EventTopic a/t (`},
		"one broker of two namespaces":        {object("EventBroker", "a", "main", local) + object("EventTopic", "a", "t", topicA) + object("EventTopic", "b", "t", `brokerRef: {name: main, namespace: a}, exchange: {name: xb}`) + object("EventSubscription", "a", "s", select1+", queue: {name: q}") + object("EventSubscription", "b", "s", select1+", queue: {name: q}"), `spec.queue.name: queue "q" on broker a/main belongs to EventSubscription a/s (`},
		"dead letters in another's delays":    {brokers(local, local) + strings.Replace(twoQueues, "queue: {name: q}}\n", "queue: {name: q2}, deadLetter: {queue: q2.retry.1000ms}}\n", 1), `spec.deadLetter.queue: queue "q2.retry.1000ms" on broker a/main belongs to EventSubscription a/s (`},
		"a partitioner that is a topic's":     {brokers(local, local) + object("EventTopic", "a", "t", topicA+", partitions: {count: 2}") + object("EventTopic", "b", "t", strings.Replace(topicB, "xb", "q.partitions", 1)) + object("EventSubscription", "a", "s", select1+", ordering: PerKey, queue: {name: q}"), `spec.queue.name: exchange "q.partitions" on broker a/main belongs to EventTopic b/t (`},
		"the exchange beside it":              {brokers(local, local) + object("EventTopic", "a", "t", topicA+", partitions: {count: 2}") + object("EventTopic", "b", "t", strings.Replace(topicB, "xb", "q.partitions.unpartitioned", 1)) + object("EventSubscription", "a", "s", select1+", ordering: PerKey, queue: {name: q}"), `exchange "q.partitions.unpartitioned"`},
		"two types of a dead-letter queue":    {brokers(local, local) + strings.NewReplacer("queue: {name: q}}\n---", "queue: {name: q1}, deadLetter: {queue: d}}\n---").Replace(strings.TrimSuffix(twoQueues, "queue: {name: q}}\n")) + "queue: {name: q2, type: classic}, deadLetter: {queue: d}}\n", `spec.deadLetter.queue: queue "d" on broker b/other would be of type classic, as the subscription's queue is, but it is of type quorum by EventSubscription a/s (`},
		"a queue that is another's dead ones": {brokers(local, local) + strings.TrimSuffix(twoQueues, "queue: {name: q}}\n") + "queue: {name: q.dead}}\n", `spec.deadLetter.queue: queue "q.dead" on broker a/main belongs to EventSubscription b/s (`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, problems := file.Decode(file.File{Name: "a.yaml", Data: []byte(c.text)})
			if len(problems) > 0 {
				t.Fatalf("the test's own objects are wrong: %v", problems)
			}
			_, problems = Resolve(set)
			switch {
			case c.want == "" && len(problems) > 0:
				t.Errorf("unexpected problems: %v", problems)
			case c.want != "" && (len(problems) != 1 || !strings.Contains(problems[0].String(), c.want)):
				t.Errorf("got %v\nwant %s", problems, c.want)
			}
		})
	}
}
