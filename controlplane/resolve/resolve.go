package resolve

import (
	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
)

// Result is a resolved set.
type Result struct {
	// Config is everything in the mesh; a sidecar gets the part that concerns it.
	Config mesh.Config
	// Selectors tell, for each subscription, which workloads of its namespace
	// receive its events. They are safe for concurrent use.
	Selectors map[mesh.Name]func(labels map[string]string) bool
	// Resources lists the resources each object is part of. An object is in force at a
	// sidecar when all of these resources that the sidecar has are in force.
	Resources map[v1alpha1.ObjectName][]ResourceKey
}

// ResourceKey names an xDS resource.
type ResourceKey struct {
	TypeURL string
	Name    string
}

// Resolve resolves a set that declare.Declare made. The problems are sorted by place
// and do not repeat those of Declare.
func Resolve(set declare.Set) (Result, []declare.Problem) {
	r := &resolver{
		set: set,
		result: Result{
			Config: mesh.Config{
				Topics:        map[mesh.Name]*mesh.Topic{},
				Subscriptions: map[mesh.Name]*mesh.Subscription{},
				Brokers:       map[mesh.Name]*mesh.Broker{},
			},
			Selectors: map[mesh.Name]func(map[string]string) bool{},
			Resources: map[v1alpha1.ObjectName][]ResourceKey{},
		},
		declared:     map[v1alpha1.ObjectName]*declare.Object{},
		destinations: map[mesh.Name]mesh.Destination{},
	}
	for i := range set.Objects {
		r.declared[set.Objects[i].Name()] = &set.Objects[i]
	}
	r.brokers()
	r.topics()
	r.routes()
	r.subscriptions()
	r.exchanges()
	r.queues()
	declare.Sort(r.problems)
	return r.result, r.problems
}

// resolver is the state of one Resolve. Its steps run in order: each needs what
// the ones before it found.
type resolver struct {
	set          declare.Set
	result       Result
	problems     []declare.Problem
	declared     map[v1alpha1.ObjectName]*declare.Object
	destinations map[mesh.Name]mesh.Destination // by topic
	rabbit       map[mesh.Name]mesh.Name        // the first broker that is the same RabbitMQ
}

func (r *resolver) problem(o *declare.Object, path v1alpha1.Path, kind v1alpha1.ErrorKind, message string) {
	r.problems = append(r.problems, o.Problem(v1alpha1.FieldError{Path: string(path), Message: message, Kind: kind}))
}

// concern notes that the object is part of the resource.
func (r *resolver) concern(object v1alpha1.ObjectName, typeURL, name string) {
	r.result.Resources[object] = append(r.result.Resources[object], ResourceKey{typeURL, name})
}

// each calls visit for every declared object of one kind, in order.
func each[T v1alpha1.Object](r *resolver, visit func(*declare.Object, T)) {
	for i := range r.set.Objects {
		o := &r.set.Objects[i]
		if value, ok := o.Value.(T); ok {
			visit(o, value)
		}
	}
}

func nameOf(obj v1alpha1.Object) mesh.Name {
	n := v1alpha1.NameOf(obj)
	return mesh.Name{Namespace: n.Namespace, Name: n.Name}
}

func objectName(kind string, n mesh.Name) v1alpha1.ObjectName {
	return v1alpha1.ObjectName{Kind: kind, Namespace: n.Namespace, Name: n.Name}
}

func (r *resolver) brokers() {
	var order []mesh.Name
	each(r, func(o *declare.Object, b *v1alpha1.EventBroker) {
		name := nameOf(b)
		r.result.Config.Brokers[name] = broker(name, &b.Spec)
		order = append(order, name)
		r.concern(o.Name(), xds.TypeCluster, xds.BrokerResource(name))
		r.concern(o.Name(), xds.TypeEndpoint, xds.BrokerResource(name))
	})
	r.sameBrokers(order)
}
