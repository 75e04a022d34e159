package resolve

import (
	"fmt"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/mesh"
)

// queueType fills in the default: quorum where the broker has such queues.
func (r *resolver) queueType(o *declare.Object, declared string, b *mesh.Broker) string {
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

// queueKey is a queue on a broker; of several names of one RabbitMQ it is the first.
type queueKey struct {
	broker mesh.Name
	queue  string
}

func (r *resolver) queueOn(s *mesh.Subscription, queue string) queueKey {
	return queueKey{r.rabbit[s.Broker], queue}
}

// owned lists the queues that hold a subscription's events: its own queue, or those of
// its partitions and its members queue (then its own name stays reserved), and those
// in which retries wait.
func owned(s *mesh.Subscription) []string {
	out := []string{s.Queue.Name}
	for i := range s.Partitions.Count {
		out = append(out, s.Queue.Partition(i))
	}
	if s.Partitions.Count > 0 {
		out = append(out, s.Queue.Members())
	}
	for _, d := range s.Delays() {
		out = append(out, s.Queue.Delay(d))
	}
	return out
}

// lettered lists the queues that hold a subscription's dead letters: the one it names
// and those for messages that the broker itself drops.
func lettered(s *mesh.Subscription) []string {
	out := []string{s.DeadLetterQueue, s.Queue.DeadLetters()}
	for i := range s.Partitions.Count {
		partition := mesh.Queue{Name: s.Queue.Partition(i)}
		out = append(out, partition.DeadLetters())
	}
	return out
}

// queues refuses a queue that two subscriptions own, because each would get only a
// part of its events. It also refuses dead letters in a queue that a subscription
// owns. Several subscriptions may share one dead-letter queue.
func (r *resolver) queues() {
	owners := map[queueKey]*declare.Object{}
	name := v1alpha1.Path("spec").Child("queue").Child("name")
	r.eachResolved(func(o *declare.Object, sub *mesh.Subscription) {
		for _, queue := range owned(sub) {
			k := r.queueOn(sub, queue)
			if owner, taken := owners[k]; taken {
				r.taken(o, name, sub.Broker, queue, owner, "give one of the two another queue, or each would get only part of its events")
				return
			}
			owners[k] = o
		}
	})
	r.eachResolved(func(o *declare.Object, sub *mesh.Subscription) {
		for _, queue := range lettered(sub) {
			owner, taken := owners[r.queueOn(sub, queue)]
			switch {
			case !taken || owner == o && queue == sub.Queue.Name: // Validate reports that one
			case queue == sub.DeadLetterQueue:
				r.taken(o, v1alpha1.Path("spec").Child("deadLetter").Child("queue"), sub.Broker, queue, owner, "send dead letters to a queue of their own")
				return
			default:
				r.taken(o, name, sub.Broker, queue, owner, "what the broker drops from a queue goes to a queue of that name, so give one of the two another queue")
				return
			}
		}
	})
	r.letterTypes()
}

// letterTypes refuses a dead-letter queue that two subscriptions declare with two
// types: only the first to connect could declare it.
func (r *resolver) letterTypes() {
	type declared struct {
		by       *declare.Object
		typeName string
	}
	first := map[queueKey]declared{}
	r.eachResolved(func(o *declare.Object, sub *mesh.Subscription) {
		if r.result.Config.Brokers[sub.Broker].Topology != mesh.Manage {
			return
		}
		for _, queue := range lettered(sub) {
			k := r.queueOn(sub, queue)
			was, known := first[k]
			if !known {
				first[k] = declared{o, sub.Queue.Type}
			} else if was.typeName != sub.Queue.Type {
				r.problem(o, v1alpha1.Path("spec").Child("deadLetter").Child("queue"), v1alpha1.Conflict, fmt.Sprintf(
					"queue %q on broker %s would be of type %s, as the subscription's queue is, but it is of type %s by %s%s: give both the same queue.type, or one of them another deadLetter.queue",
					queue, sub.Broker, sub.Queue.Type, was.typeName, was.by.Name(), place(was.by)))
				return
			}
		}
	})
}

func (r *resolver) eachResolved(visit func(*declare.Object, *mesh.Subscription)) {
	each(r, func(o *declare.Object, s *v1alpha1.EventSubscription) {
		if sub, ok := r.result.Config.Subscriptions[nameOf(s)]; ok {
			visit(o, sub)
		}
	})
}

func (r *resolver) taken(o *declare.Object, path v1alpha1.Path, broker mesh.Name, queue string, owner *declare.Object, advice string) {
	r.problem(o, path, v1alpha1.Conflict, fmt.Sprintf("queue %q on broker %s belongs to %s%s: %s", queue, broker, owner.Name(), place(owner), advice))
}
