package controlplane

import (
	"fmt"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/xds/source"
)

// immutable refuses other partitions for a topic that is in force. An event goes to
// the partition that the hash of its key modulo the count names: with another
// count or another key the events of one key would be in two partitions at a time,
// in no order. What is deleted first, in a set of its own, is no longer in force.
func immutable(inForce []source.Object, set source.Set) []source.Problem {
	before := map[v1alpha1.ObjectName]*v1alpha1.EventTopic{}
	for i := range inForce {
		if t, ok := inForce[i].Value.(*v1alpha1.EventTopic); ok {
			before[inForce[i].Name()] = t
		}
	}
	var problems []source.Problem
	for i := range set.Objects {
		o := &set.Objects[i]
		now, ok := o.Value.(*v1alpha1.EventTopic)
		was, found := before[o.Name()]
		if !ok || !found {
			continue
		}
		if path, what := changed(was.Spec.Partitions, now.Spec.Partitions); what != "" {
			problems = append(problems, o.Problem(v1alpha1.FieldError{Path: string(path), Kind: v1alpha1.Invalid, Message: what +
				": partitions never change while a topic is in force, or events of one key would overtake each other; put it back, or declare a new topic and move its subscriptions and publishers there"}))
		}
	}
	return problems
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
