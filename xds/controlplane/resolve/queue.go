package resolve

import (
	"fmt"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/xds/mesh"
	"github.com/warrenmesh/warren/xds/source"
)

// queueType fills in the default: quorum where the broker has such queues.
func (r *resolver) queueType(o *source.Object, declared string, b *mesh.Broker) string {
	quorum := b.Type.Capabilities().QuorumQueue
	switch {
	case declared == v1alpha1.QueueQuorum && !quorum:
		r.refuse(o, v1alpha1.Path("spec").Child("queue").Child("type"), b, "a quorum queue", "remove it")
		return declared
	case declared != "":
		return declared
	case quorum:
		return v1alpha1.QueueQuorum
	default:
		return v1alpha1.QueueClassic
	}
}

// queueKey is a queue on a broker.
type queueKey struct {
	broker mesh.Name
	queue  string
}

// owned lists the queues of a subscription: its own, or those of its partitions and
// its members, for which it keeps its name.
func owned(s *mesh.Subscription) []queueKey {
	out := []queueKey{{s.Broker, s.Queue.Name}}
	for i := range s.Partitions.Count {
		out = append(out, queueKey{s.Broker, s.Queue.Partition(i)})
	}
	if s.Partitions.Count > 0 {
		out = append(out, queueKey{s.Broker, s.Queue.Members()})
	}
	return out
}

// queues refuses a queue that two subscriptions own, each would get only part of
// its events, and dead letters in a queue that a subscription owns. Several
// subscriptions may share one queue of dead letters.
func (r *resolver) queues() {
	owners := map[queueKey]*source.Object{}
	r.eachResolved(func(o *source.Object, sub *mesh.Subscription) {
		for _, k := range owned(sub) {
			if owner, taken := owners[k]; taken {
				r.taken(o, v1alpha1.Path("spec").Child("queue").Child("name"), k, owner, "give one of the two another queue, or each would get only part of its events")
				return
			}
			owners[k] = o
		}
	})
	r.eachResolved(func(o *source.Object, sub *mesh.Subscription) {
		k := queueKey{sub.Broker, sub.DeadLetterQueue}
		owner, taken := owners[k]
		if taken && (owner != o || k.queue != sub.Queue.Name) { // Validate reports that one
			r.taken(o, v1alpha1.Path("spec").Child("deadLetter").Child("queue"), k, owner, "send dead letters to a queue of their own")
		}
	})
}

func (r *resolver) eachResolved(visit func(*source.Object, *mesh.Subscription)) {
	each(r, func(o *source.Object, s *v1alpha1.EventSubscription) {
		if sub, ok := r.result.Config.Subscriptions[nameOf(s)]; ok {
			visit(o, sub)
		}
	})
}

func (r *resolver) taken(o *source.Object, path v1alpha1.Path, k queueKey, owner *source.Object, advice string) {
	r.problem(o, path, v1alpha1.Conflict, fmt.Sprintf("queue %q on broker %s belongs to %s%s: %s", k.queue, k.broker, owner.Name(), place(owner), advice))
}
