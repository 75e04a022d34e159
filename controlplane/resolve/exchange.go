package resolve

import (
	"fmt"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/mesh"
)

// exchangeKey is an exchange on a broker; of several names of one RabbitMQ it is the
// first.
type exchangeKey struct {
	broker   mesh.Name
	exchange string
}

// exchanges refuses two topics on one exchange that sidecars manage: a subscription
// to one would get the events of both. Where others manage it their bindings decide
// that. Nor may a topic's exchange be one of those that spread events over partitions.
func (r *resolver) exchanges() {
	managed, all := map[exchangeKey]*declare.Object{}, map[exchangeKey]*declare.Object{}
	each(r, func(o *declare.Object, t *v1alpha1.EventTopic) {
		d, found := r.destinations[nameOf(t)]
		if !found || d.Exchange.Name == "" {
			return
		}
		k := exchangeKey{r.rabbit[d.Broker], d.Exchange.Name}
		if _, taken := all[k]; !taken {
			all[k] = o
		}
		if r.result.Config.Brokers[d.Broker].Topology != mesh.Manage {
			return
		}
		if owner, taken := managed[k]; taken {
			r.problem(o, v1alpha1.Path("spec").Child("exchange").Child("name"), v1alpha1.Conflict,
				exchangeOf(d.Exchange.Name, d.Broker, owner)+": give one of the two another exchange, or subscribers of one would get the events of both")
			return
		}
		managed[k] = o
	})
	r.eachResolved(func(o *declare.Object, sub *mesh.Subscription) {
		if sub.Partitions.Count == 0 {
			return
		}
		for _, name := range []string{sub.Queue.Partitioner(), sub.Queue.Unpartitioned()} {
			if owner, taken := all[exchangeKey{r.rabbit[sub.Broker], name}]; taken {
				r.problem(o, v1alpha1.Path("spec").Child("queue").Child("name"), v1alpha1.Conflict,
					exchangeOf(name, sub.Broker, owner)+": the partitions of a subscription need an exchange that is named after its queue, so give the queue or the topic's exchange another name")
			}
		}
	})
}

func exchangeOf(name string, broker mesh.Name, owner *declare.Object) string {
	return fmt.Sprintf("exchange %q on broker %s belongs to %s%s", name, broker, owner.Name(), place(owner))
}
