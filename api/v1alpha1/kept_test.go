package v1alpha1

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrenmesh/warren/mesh"
)

// complete are objects in which every field that has a default has another value.
func complete() []Object {
	second := duration(time.Second)
	return []Object{
		&EventBroker{ObjectMeta: ObjectMeta{Name: "b", Namespace: "n"}, Spec: EventBrokerSpec{
			Type: "Other", VHost: "v", Topology: TopologyIgnore, Heartbeat: second, Nodes: []BrokerNode{{Address: "a:1", Zone: "z", Priority: 1}},
		}},
		&EventTopic{ObjectMeta: ObjectMeta{Name: "t", Namespace: "n"}, Spec: EventTopicSpec{
			BrokerRef: LocalRef{Kind: "K", Namespace: "m", Name: "b"}, Exchange: &Exchange{Name: "x", Type: "direct"}, RoutingKey: "k",
			Partitions: &Partitions{Count: 2, Key: "subject"},
			Publish:    &PublishSettings{ConfirmTimeout: second, Mandatory: new(false), Persistent: new(false), TTL: second, Priority: 1, MaxEventBytes: new(int32(0))},
		}},
		&EventRoute{ObjectMeta: ObjectMeta{Name: "r", Namespace: "n"}, Spec: EventRouteSpec{
			ParentRefs: []LocalRef{{Kind: "K", Namespace: "m", Name: "t"}},
			Rules: []RouteRule{{
				Name: "r", BackendRefs: []BackendRef{{Kind: "K", Namespace: "m", Name: "t", Weight: new(int32(0))}}, Timeout: second,
				Retry: &RouteRetry{Attempts: new(int32(0)), On: []string{}, PerTryTimeout: second, Backoff: &Backoff{duration(2), duration(1)}},
			}},
		}},
		&EventSubscription{ObjectMeta: ObjectMeta{Name: "s", Namespace: "n"}, Spec: EventSubscriptionSpec{
			TopicRef: LocalRef{Kind: "K", Namespace: "m", Name: "t"}, Queue: &Queue{Name: "q", Type: "stream", Prefetch: new(int32(0)), PrefetchBytes: new(int64(0))},
			Ordering: OrderingPerKey, AckDeadline: duration(0), ContentEncoding: EncodingDecode,
			Retry:      &SubscriptionRetry{Attempts: new(int32(0)), Backoff: &Backoff{duration(2), duration(1)}, Strategy: RetryBrokerDelay, MaxElapsed: duration(0)},
			DeadLetter: &DeadLetter{Queue: "q", KeyPolicy: KeyHold}, Dedupe: &Dedupe{Window: duration(0), MaxEntries: new(int32(0))},
		}},
		&EventPolicy{ObjectMeta: ObjectMeta{Name: "p", Namespace: "n"}, Spec: EventPolicySpec{TargetRefs: []LocalRef{{Name: "x"}}}},
	}
}

// Also a value that Validate refuses stays: it must be refused as it was declared, not
// be mended in silence.
func TestDefaultNeverOverwritesWhatIsSet(t *testing.T) {
	t.Parallel()
	declared, defaulted := complete(), complete()
	for i, obj := range defaulted {
		Default(obj)
		if !reflect.DeepEqual(obj, declared[i]) {
			t.Errorf("%s became %v, declared was %v", NameOf(obj), copyOf(t, obj), copyOf(t, declared[i]))
		}
	}
}

func TestDefaultsFollowTheNameThatIsDeclared(t *testing.T) {
	t.Parallel()
	s := &EventSubscription{ObjectMeta: ObjectMeta{Name: "billing"}, Spec: EventSubscriptionSpec{Queue: &Queue{Name: "mine"}}}
	Default(s)
	if s.Namespace != "default" || s.Spec.DeadLetter.Queue != "mine.dead" || s.Spec.TopicRef.Namespace != "default" {
		t.Errorf("namespace %q, dead letters in %q, topic in %q", s.Namespace, s.Spec.DeadLetter.Queue, s.Spec.TopicRef.Namespace)
	}
	s = &EventSubscription{ObjectMeta: ObjectMeta{Name: "billing"}}
	Default(s)
	if s.Spec.Queue.Name != "default.billing" || s.Spec.DeadLetter.Queue != "default.billing.dead" {
		t.Errorf("queue %q, dead letters in %q", s.Spec.Queue.Name, s.Spec.DeadLetter.Queue)
	}
	r := &EventRoute{Spec: EventRouteSpec{Rules: []RouteRule{{}, {Name: "eu"}, {}}}}
	Default(r)
	if a, b, c := r.Spec.Rules[0].Name, r.Spec.Rules[1].Name, r.Spec.Rules[2].Name; a != "rule-0" || b != "eu" || c != "rule-2" {
		t.Errorf("rules %q, %q, %q", a, b, c)
	}
	if r.Spec.Rules[0].BackendRefs != nil {
		t.Error("a rule without backends has some now: it keeps events on their topic")
	}
}

// The dead letters of a subscription go where the broker's own go, by one name that two
// packages make.
func TestTheDefaultQueueOfDeadLettersIsThatOfTheBroker(t *testing.T) {
	t.Parallel()
	s := validSubscription()
	Default(s)
	q := mesh.Queue{Name: s.Spec.Queue.Name}
	if s.Spec.DeadLetter.Queue != q.DeadLetters() {
		t.Errorf("%q and %q", s.Spec.DeadLetter.Queue, q.DeadLetters())
	}
}

// Whichever half of a backoff is declared, the whole is one that Validate accepts.
func TestHalfABackoffIsCompletedInOrder(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(9, 10))
	for range 2000 {
		d := time.Millisecond + time.Duration(random.Int64N(int64(1000*time.Hour))>>random.IntN(50))
		half := &Backoff{BaseInterval: duration(d)}
		if random.IntN(2) == 0 {
			half = &Backoff{MaxInterval: duration(d)}
		}
		declared := *half
		for _, v := range []verdict{
			rule(func(r *RouteRule) { r.Retry.Backoff = &Backoff{half.BaseInterval, half.MaxInterval} }),
			subscription(func(s *EventSubscriptionSpec) { s.Retry.Backoff = &Backoff{half.BaseInterval, half.MaxInterval} }),
		} {
			if len(v.errs) > 0 {
				t.Fatalf("%s of %v: %v", v.obj.KindName(), d, v.errs)
			}
		}
		if declared != *half {
			t.Fatalf("%v became %v", declared, *half)
		}
	}
}

func TestListsBelongToTheirCaller(t *testing.T) {
	t.Parallel()
	RetryConditions()[0] = "changed"
	Kinds()[0] = "changed"
	if RetryConditions()[0] != "nack" || Kinds()[0] != KindEventBroker {
		t.Errorf("a caller changed %q or %q for all", RetryConditions(), Kinds())
	}
	r := &EventRoute{Spec: EventRouteSpec{Rules: make([]RouteRule, 2)}}
	Default(r)
	first, second := r.Spec.Rules[0].Retry, r.Spec.Rules[1].Retry
	first.On[0], first.Backoff.BaseInterval.Duration = "changed", 0
	if second.On[0] != "nack" || second.Backoff.BaseInterval.Duration != DefaultRouteBackoffBase {
		t.Errorf("two rules share their defaults: %+v", second)
	}
}

func TestEveryRetryConditionOfTheKindsIsOneOfMesh(t *testing.T) {
	t.Parallel()
	for _, word := range RetryConditions() {
		if on, err := mesh.ParseRetryOn(word); err != nil || on.String() != word {
			t.Errorf("%q: %v, %v", word, on, err)
		}
	}
	if next := mesh.OnNack + mesh.RetryOn(len(RetryConditions())); next.String() == "" || next.String()[0] != 'R' {
		t.Errorf("mesh has %s, which the kinds do not", next)
	}
}

// The names that a kind writes are those that mesh shows in dumps and logs.
func TestTheKindsAndMeshHaveTheSameWords(t *testing.T) {
	t.Parallel()
	for kind, inMesh := range map[string]string{
		BrokerRabbitMQ: mesh.RabbitMQ.String(), BrokerMemory: mesh.Memory.String(),
		TopologyManage: mesh.Manage.String(), TopologyVerify: mesh.Verify.String(), TopologyIgnore: mesh.Ignore.String(),
		OrderingNone: mesh.Unordered.String(), OrderingPerKey: mesh.PerKey.String(),
		KeyContinue: mesh.Continue.String(), KeyHold: mesh.Hold.String(),
		RetryDelayQueues: mesh.DelayQueues.String(), RetryBrokerDelay: mesh.BrokerDelay.String(),
	} {
		if kind != inMesh {
			t.Errorf("%q is %q in mesh", kind, inMesh)
		}
	}
}

func TestSelectorsByExpressions(t *testing.T) {
	t.Parallel()
	requirement := func(key, operator string, values ...string) metav1.LabelSelectorRequirement {
		return metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOperator(operator), Values: values}
	}
	app, none := map[string]string{"app": "billing", "tier": "gold"}, map[string]string(nil)
	for name, test := range map[string]struct {
		selector LabelSelector
		labels   map[string]string
		want     bool
	}{
		"one of the values":                     {LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{requirement("app", "In", "audit", "billing")}}, app, true},
		"none of the values":                    {LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{requirement("app", "In", "audit")}}, app, false},
		"a value that is excluded":              {LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{requirement("app", "NotIn", "billing")}}, app, false},
		"without the label nothing is excluded": {LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{requirement("app", "NotIn", "billing")}}, none, true},
		"a label that exists":                   {LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{requirement("tier", "Exists")}}, app, true},
		"a label that does not exist":           {LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{requirement("zone", "DoesNotExist")}}, app, true},
		"labels and expressions must both hold": {LabelSelector{MatchLabels: map[string]string{"app": "billing"}, MatchExpressions: []metav1.LabelSelectorRequirement{requirement("tier", "In", "silver")}}, app, false},
		"an empty value is a value":             {LabelSelector{MatchLabels: map[string]string{"app": ""}}, none, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			matches, err := SelectorMatches(test.selector)
			if err != nil {
				t.Fatal(err)
			}
			if got := matches(test.labels); got != test.want {
				t.Errorf("%v matches %v: %t", test.selector, test.labels, got)
			}
		})
	}
	for _, bad := range []metav1.LabelSelectorRequirement{requirement("app", "in", "a"), requirement("app", "In"), requirement("my app", "Exists")} {
		if matches, err := SelectorMatches(LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{bad}}); err == nil || matches != nil {
			t.Errorf("%v is no error", bad)
		}
	}
}

func TestConditionsKeepTheirOrderAndTheirGeneration(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	var s Status
	for i, name := range []string{ConditionAccepted, ConditionResolvedRefs, ConditionProgrammed} {
		s.SetCondition(Condition{Type: name, Status: ConditionTrue, ObservedGeneration: 1}, now.Add(time.Duration(i)*time.Second))
	}
	s.SetCondition(Condition{
		Type: ConditionResolvedRefs, Status: ConditionTrue, ObservedGeneration: 2, Message: "m", LastTransitionTime: metav1.NewTime(now.Add(time.Hour)),
	}, now.Add(time.Minute))
	if len(s.Conditions) != 3 || s.Conditions[0].Type != ConditionAccepted || s.Conditions[1].Type != ConditionResolvedRefs || s.Conditions[2].Type != ConditionProgrammed {
		t.Fatalf("conditions %+v", s.Conditions)
	}
	c := s.Condition(ConditionResolvedRefs)
	if c.ObservedGeneration != 2 || c.Message != "m" || !c.LastTransitionTime.Time.Equal(now.Add(time.Second)) {
		t.Errorf("got %+v, want the new generation and the time of the first", c)
	}
	c.Message = "changed"
	if s.Conditions[1].Message != "changed" {
		t.Error("the condition is a copy, so a caller cannot change it in place")
	}
}
