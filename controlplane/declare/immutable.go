package declare

import (
	"fmt"

	"github.com/warrenmesh/warren/api/v1alpha1"
)

// broken returns the field of an object that must not change while before is in force,
// and why; "" when the object changes no such field.
func broken(before, now v1alpha1.Object) (path v1alpha1.Path, what string) {
	switch before := before.(type) {
	case *v1alpha1.EventTopic:
		return otherPartitions(before, now)
	case *v1alpha1.EventSubscription:
		return otherQueue(before, now)
	default:
		return "", ""
	}
}

// otherPartitions refuses changed partitions of a topic. An event goes to the
// partition that the hash of its key modulo the count names. With another count or key
// the events of one key would be in two partitions at a time, in no order.
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

// otherQueue refuses changes that would give a subscription other queues. With another
// ordering the old queues would fill with events that nobody receives. RabbitMQ does
// not change the delay of a queue that exists.
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

// changed names the field of the partitions that differs, with its old and new value.
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
