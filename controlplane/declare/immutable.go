package declare

import (
	"fmt"
	"time"

	"github.com/warrenmesh/warren/api/v1alpha1"
)

// Commitment is an object whose queues are on a broker, and which must not change in
// certain ways while they may be in use.
type Commitment struct {
	Object v1alpha1.Object
	Until  time.Time // when a deleted object's ends; zero while it is in force
}

// Violations are what a set must not change.
type Violations struct {
	Problems []Problem
	// Passes is true when all of them are about objects that were deleted: in a while
	// the set may come into force as it is.
	Passes bool
}

// Immutable refuses what would break the order or the queues of an object that is in
// force, or was until a while ago: a file that is empty for a moment, or an object
// that is deleted and declared anew, must not get around it.
func Immutable(committed map[v1alpha1.ObjectName]Commitment, set Set) Violations {
	v := Violations{Passes: true}
	for i := range set.Objects {
		o := &set.Objects[i]
		was, found := committed[o.Name()]
		if !found {
			continue
		}
		var path v1alpha1.Path
		var what string
		switch before := was.Object.(type) {
		case *v1alpha1.EventTopic:
			path, what = otherPartitions(before, o.Value)
		case *v1alpha1.EventSubscription:
			path, what = otherQueue(before, o.Value)
		}
		if what == "" {
			continue
		}
		if was.Until.IsZero() {
			v.Passes = false
		} else {
			what += fmt.Sprintf(" (it was deleted a short while ago: the new declaration comes into force by itself after %s)", was.Until.UTC().Format(time.TimeOnly+" MST"))
		}
		v.Problems = append(v.Problems, o.Problem(v1alpha1.FieldError{Path: string(path), Kind: v1alpha1.Invalid, Message: what}))
	}
	v.Passes = v.Passes && len(v.Problems) > 0
	return v
}

// otherPartitions refuses other partitions for a topic. An event goes to the
// partition that the hash of its key modulo the count names: with another count or
// another key the events of one key would be in two partitions at a time, in no
// order.
func otherPartitions(was *v1alpha1.EventTopic, object v1alpha1.Object) (v1alpha1.Path, string) {
	now, ok := object.(*v1alpha1.EventTopic)
	if !ok {
		return "", ""
	}
	path, what := changed(was.Spec.Partitions, now.Spec.Partitions)
	if what == "" {
		return "", ""
	}
	return path, what + ": partitions never change while a topic is in force, or events of one key would overtake each other; put it back, or declare a new topic and move its subscriptions and publishers there"
}

// otherQueue refuses what would make other queues of a subscription's: with another
// ordering the old ones would go on to fill with events that nobody takes, and
// RabbitMQ keeps the delay of a queue as it was declared.
func otherQueue(was *v1alpha1.EventSubscription, object v1alpha1.Object) (v1alpha1.Path, string) {
	now, ok := object.(*v1alpha1.EventSubscription)
	if !ok {
		return "", ""
	}
	spec := v1alpha1.Path("spec")
	if is := now.Spec.Ordering; is != was.Spec.Ordering {
		return spec.Child("ordering"), fmt.Sprintf("is %s, but the subscription is in force with %s: it would leave queues behind that go on to fill; put it back, or declare a new subscription and delete this one and its queues", is, was.Spec.Ordering)
	}
	if now.Spec.Queue.Name != was.Spec.Queue.Name {
		return "", ""
	}
	const advice = "the queue has its delay for good; put it back, or name another queue and delete this one when it is empty"
	before, after := was.Spec.Retry, now.Spec.Retry
	switch {
	case before.Strategy != after.Strategy:
		return spec.Child("retry").Child("strategy"), fmt.Sprintf("is %s, but the subscription is in force with %s: %s", after.Strategy, before.Strategy, advice)
	case after.Strategy == v1alpha1.RetryBrokerDelay && *before.Backoff.BaseInterval != *after.Backoff.BaseInterval:
		return spec.Child("retry").Child("backoff").Child("baseInterval"), fmt.Sprintf("is %v, but the subscription is in force with %v: %s",
			after.Backoff.BaseInterval.Duration, before.Backoff.BaseInterval.Duration, advice)
	default:
		return "", ""
	}
}

// changed says which field of the partitions is another, and what it was and is.
func changed(was, now *v1alpha1.Partitions) (path v1alpha1.Path, what string) {
	path = v1alpha1.Path("spec").Child("partitions")
	switch {
	case was == nil && now == nil:
		return path, ""
	case was == nil:
		return path, fmt.Sprintf("is {count: %d, key: %s}, but the topic is in force without partitions", now.Count, now.Key)
	case now == nil:
		return path, fmt.Sprintf("is missing, but the topic is in force with {count: %d, key: %s}", was.Count, was.Key)
	case was.Count != now.Count:
		return path.Child("count"), fmt.Sprintf("is %d, but the topic is in force with %d", now.Count, was.Count)
	case was.Key != now.Key:
		return path.Child("key"), fmt.Sprintf("is %s, but the topic is in force with %s", now.Key, was.Key)
	default:
		return path, ""
	}
}
