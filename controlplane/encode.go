package controlplane

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/controlplane/resolve"
	"github.com/warrenmesh/warren/controlplane/status"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds/server"
	"github.com/warrenmesh/warren/xds/wire"
)

// encoder has what the last set was encoded to, so that a change of one object costs
// what that object costs. It belongs to one goroutine; the zero value is empty.
type encoder struct {
	topics        memory[mesh.Topic]
	brokers       memory[mesh.Broker]
	subscriptions memory[mesh.Subscription]
	groups        map[string]*server.Group // by the resources in it
}

// memory has, by name, objects and what each was encoded to.
type memory[T any] map[mesh.Name]encoded[T]

type encoded[T any] struct {
	from      *T
	resources []wire.Resource
	err       error
}

// encodeAll visits what all objects of one kind are encoded to, by name. An object that
// is as it was is not encoded again, and neither proved; what is gone is forgotten.
// Encoding depends on the object alone, and nobody changes one that was resolved.
func encodeAll[T any](m *memory[T], all map[mesh.Name]*T, encode func(*T) ([]wire.Resource, error), visit func(mesh.Name, []wire.Resource, error)) {
	known := *m
	*m = make(memory[T], len(all))
	for _, name := range mesh.Sorted(all) {
		e, found := known[name]
		if !found || !reflect.DeepEqual(e.from, all[name]) {
			e = encoded[T]{from: all[name]}
			if e.resources, e.err = encode(e.from); e.err == nil {
				e.err = tooLarge(e.resources)
			}
		}
		(*m)[name] = e
		visit(name, e.resources, e.err)
	}
}

// encode fills the view, in an order that depends on names alone. If a sidecar would
// refuse a resource, the object that it comes from has a problem.
func (c *compiled) encode(r *resolve.Result, e *encoder) []declare.Problem {
	var problems []declare.Problem
	selectors := selectorTexts(c.objects)
	check := func(kind string, name mesh.Name, err error) {
		if err != nil {
			problems = append(problems, c.refused(v1alpha1.ObjectName{Kind: kind, Namespace: name.Namespace, Name: name.Name}, err))
		}
	}
	encodeAll(&e.topics, r.Config.Topics, wire.EncodeTopic, func(name mesh.Name, resources []wire.Resource, err error) {
		check(v1alpha1.KindEventTopic, name, err)
		c.view.Resources = append(c.view.Resources, resources...)
	})
	encodeAll(&e.brokers, r.Config.Brokers, wire.EncodeBroker, func(name mesh.Name, resources []wire.Resource, err error) {
		check(v1alpha1.KindEventBroker, name, err)
		c.view.Resources = append(c.view.Resources, resources...)
	})
	encodeAll(&e.subscriptions, r.Config.Subscriptions, wire.EncodeSubscription, func(name mesh.Name, resources []wire.Resource, err error) {
		check(v1alpha1.KindEventSubscription, name, err)
		for _, resource := range resources {
			c.view.Scoped = append(c.view.Scoped, server.Scoped{Resource: resource, Namespace: name.Namespace, Match: r.Selectors[name], Selector: selectors[name]})
		}
	})
	return problems
}

// tooLarge refuses resources that no response can hold: a sidecar would lose its
// stream each time it is sent one.
func tooLarge(resources []wire.Resource) error {
	for _, r := range resources {
		if n := len(r.Any.GetValue()); n > server.MaxResourceBytes {
			return fmt.Errorf("it makes a resource of %d bytes, and a sidecar receives at most %d: declare fewer rules, filters or nodes, or several objects", n, server.MaxResourceBytes)
		}
	}
	return nil
}

// selectorTexts names the selector of each subscription: equal ones have one name.
func selectorTexts(objects []declare.Object) map[mesh.Name]string {
	out := map[mesh.Name]string{}
	for i := range objects {
		if s, ok := objects[i].Value.(*v1alpha1.EventSubscription); ok {
			// fmt prints maps in the order of their keys.
			out[mesh.Name{Namespace: s.Namespace, Name: s.Name}] = fmt.Sprintf("%v %v", s.Spec.Selector.MatchLabels, s.Spec.Selector.MatchExpressions)
		}
	}
	return out
}

// group gives the objects in force their counters. Objects with the same resources,
// such as the routes of one topic, share one, and a group that was there before is
// used again with its counts.
func (c *compiled) group(resources map[v1alpha1.ObjectName][]resolve.ResourceKey, e *encoder) {
	known := e.groups
	e.groups = make(map[string]*server.Group, len(known))
	c.counters = make(map[v1alpha1.ObjectName]status.Counter, len(resources))
	var footprint strings.Builder
	for name, keys := range resources {
		footprint.Reset()
		for _, k := range keys {
			footprint.WriteString(k.TypeURL + " " + k.Name + "\n")
		}
		g := e.groups[footprint.String()]
		if g == nil {
			if g = known[footprint.String()]; g == nil {
				g = newGroup(keys)
			}
			e.groups[footprint.String()] = g
			c.view.Groups = append(c.view.Groups, g)
		}
		c.counters[name] = g
	}
}

func newGroup(keys []resolve.ResourceKey) *server.Group {
	out := make([][2]string, len(keys))
	for i, k := range keys {
		out[i] = [2]string{k.TypeURL, k.Name}
	}
	return server.NewGroup(out)
}
