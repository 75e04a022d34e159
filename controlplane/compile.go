package controlplane

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/controlplane/resolve"
	"github.com/warrenmesh/warren/controlplane/source/file"
	"github.com/warrenmesh/warren/controlplane/status"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds/server"
	"github.com/warrenmesh/warren/xds/wire"
)

// Summary counts what a directory declares.
type Summary struct {
	// Objects by kind; every kind is there.
	Objects map[string]int
	// Resources that sidecars would be served; 0 when there are problems.
	Resources int
}

// Check reads a directory as a ControlPlane would and returns all of its problems,
// sorted by place. Without problems the set would come into force.
func Check(dir string) (Summary, []declare.Problem) {
	set, problems := file.Load(dir)
	c, problems := compile(set, problems)
	s := Summary{Objects: map[string]int{}}
	for _, kind := range v1alpha1.Kinds() {
		s.Objects[kind] = 0
	}
	for i := range set.Objects {
		s.Objects[set.Objects[i].Value.KindName()]++
	}
	if len(problems) == 0 {
		s.Resources = len(c.view.Resources) + len(c.view.Scoped)
	}
	return s, problems
}

// compiled is a set that is ready to be served. It is immutable.
type compiled struct {
	version   string // hash of the content
	objects   []declare.Object
	resources map[v1alpha1.ObjectName][]resolve.ResourceKey // of each object
	versions  map[resolve.ResourceKey]string
	scoped    map[resolve.ResourceKey]server.Scoped
	view      server.View
}

// inForce is what is known of the set while it is served.
func (c *compiled) inForce() *status.InForce {
	return &status.InForce{Version: c.version, Objects: c.objects, Resources: c.resources, Versions: c.versions, Scoped: c.scoped}
}

// compile takes a set through the pipeline. The problems it returns are those it
// was given and its own; with any, the set must not come into force.
func compile(set declare.Set, problems []declare.Problem) (*compiled, []declare.Problem) {
	result, more := resolve.Resolve(set)
	problems = slices.Concat(problems, more)
	c := &compiled{objects: set.Objects, resources: result.Resources}
	if len(problems) == 0 {
		problems = c.encode(&result)
		c.version = c.hash()
		c.index()
	}
	declare.Sort(problems)
	return c, problems
}

// encode fills the view, in an order that depends on names alone. If a sidecar would
// refuse a resource, the object that it comes from has a problem.
func (c *compiled) encode(r *resolve.Result) []declare.Problem {
	var problems []declare.Problem
	check := func(kind string, name mesh.Name, resources []wire.Resource, err error) {
		if err == nil {
			err = tooLarge(resources)
		}
		if err != nil {
			problems = append(problems, c.refused(v1alpha1.ObjectName{Kind: kind, Namespace: name.Namespace, Name: name.Name}, err))
		}
	}
	for _, name := range mesh.Sorted(r.Config.Topics) {
		resources, err := wire.EncodeTopic(r.Config.Topics[name])
		check(v1alpha1.KindEventTopic, name, resources, err)
		c.view.Resources = append(c.view.Resources, resources...)
	}
	for _, name := range mesh.Sorted(r.Config.Brokers) {
		resources, err := wire.EncodeBroker(r.Config.Brokers[name])
		check(v1alpha1.KindEventBroker, name, resources, err)
		c.view.Resources = append(c.view.Resources, resources...)
	}
	for _, name := range mesh.Sorted(r.Config.Subscriptions) {
		resources, err := wire.EncodeSubscription(r.Config.Subscriptions[name])
		check(v1alpha1.KindEventSubscription, name, resources, err)
		for _, resource := range resources {
			c.view.Scoped = append(c.view.Scoped, server.Scoped{Resource: resource, Namespace: name.Namespace, Match: r.Selectors[name]})
		}
	}
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

func (c *compiled) refused(name v1alpha1.ObjectName, err error) declare.Problem {
	e := v1alpha1.FieldError{Message: fmt.Sprintf("a sidecar would refuse it: %v", err), Kind: v1alpha1.Invalid}
	for i := range c.objects {
		if c.objects[i].Name() == name {
			return c.objects[i].Problem(e)
		}
	}
	return declare.Problem{Message: e.Message, Object: name, Kind: e.Kind}
}

// hash identifies what is served, and to whom.
func (c *compiled) hash() string {
	h := sha256.New()
	for _, r := range c.view.Resources {
		fmt.Fprintf(h, "%s %s %s\n", r.TypeURL, r.Name, r.Version)
	}
	for _, s := range c.view.Scoped {
		fmt.Fprintf(h, "%s %s\n", s.Resource.Name, s.Resource.Version)
	}
	for i := range c.objects {
		if s, ok := c.objects[i].Value.(*v1alpha1.EventSubscription); ok {
			// fmt prints maps in the order of their keys.
			fmt.Fprintf(h, "%s %v %v\n", c.objects[i].Name(), s.Spec.Selector.MatchLabels, s.Spec.Selector.MatchExpressions)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// index makes what is served findable by name.
func (c *compiled) index() {
	c.versions = map[resolve.ResourceKey]string{}
	c.scoped = map[resolve.ResourceKey]server.Scoped{}
	for _, r := range c.view.Resources {
		c.versions[resolve.ResourceKey{TypeURL: r.TypeURL, Name: r.Name}] = r.Version
	}
	for _, s := range c.view.Scoped {
		k := resolve.ResourceKey{TypeURL: s.Resource.TypeURL, Name: s.Resource.Name}
		c.versions[k], c.scoped[k] = s.Resource.Version, s
	}
}
