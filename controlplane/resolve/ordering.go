package resolve

import (
	"fmt"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/mesh"
)

// keyPolicies are the key policies by the names of the kind.
var keyPolicies = map[string]mesh.KeyPolicy{v1alpha1.KeyContinue: mesh.Continue, v1alpha1.KeyHold: mesh.Hold}

// orderable refuses PerKey where order could not be kept.
func (r *resolver) orderable(o *declare.Object, s *v1alpha1.EventSubscriptionSpec, d mesh.Destination) {
	refuse := func(path v1alpha1.Path, format string, args ...any) {
		r.problem(o, path, v1alpha1.Invalid, fmt.Sprintf(format, args...))
	}
	ordering := v1alpha1.Path("spec").Child("ordering")
	if d.Partitions == (mesh.Partitions{}) {
		refuse(ordering, "is PerKey, but EventTopic %s has no partitions, and only they have an order: set ordering None, or declare a topic with partitions, such as {count: 8}, and subscribe to that", d.Topic)
	}
	if b := r.result.Config.Brokers[d.Broker]; b.Topology != mesh.Manage {
		refuse(ordering, "is PerKey, which needs queues that hand events to one consumer at a time, but broker %s has topology %s: whether queues that others declare do that cannot be asked by AMQP, and order would be lost unseen; set ordering None, or topology Manage on the broker", d.Broker, b.Topology)
	}
	if n := len(s.Queue.Name); n > mesh.MaxPartitionedQueue {
		refuse(v1alpha1.Path("spec").Child("queue").Child("name"), "has %d bytes, but with ordering PerKey the queues of the partitions are named after it: want at most %d", n, mesh.MaxPartitionedQueue)
	}
}

func dedupe(d *v1alpha1.Dedupe) mesh.Dedupe {
	if d == nil {
		return mesh.Dedupe{}
	}
	return mesh.Dedupe{Window: duration(d.Window), MaxEntries: countOf(d.MaxEntries)}
}
