package controlplane

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/controlplane/report"
	"github.com/warrenmesh/warren/controlplane/resolve"
	"github.com/warrenmesh/warren/controlplane/source/file"
	"github.com/warrenmesh/warren/controlplane/status"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds/server"
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
	c, problems := compile(set, problems, new(encoder))
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
	version  string // hash of the content
	objects  []declare.Object
	counters map[v1alpha1.ObjectName]status.Counter
	versions map[resolve.ResourceKey]string
	view     server.View
	mesh     *report.Mesh // what sidecars may report of
}

// inForce is what is known of the set while it is served.
func (c *compiled) inForce() *status.InForce {
	return &status.InForce{Version: c.version, Objects: c.objects, Counters: c.counters, Versions: c.versions}
}

// compile takes a set through the pipeline. The problems it returns are those it
// was given and its own; with any, the set must not come into force.
func compile(set declare.Set, problems []declare.Problem, e *encoder) (*compiled, []declare.Problem) {
	result, more := resolve.Resolve(set)
	problems = slices.Concat(problems, more)
	c := &compiled{objects: set.Objects}
	if len(problems) == 0 {
		problems = c.encode(&result, e)
		c.version = c.hash()
		c.index()
		c.group(result.Resources, e)
		c.mesh = reported(&result.Config)
	}
	declare.Sort(problems)
	return c, problems
}

// reported is what sidecars may report of.
func reported(cfg *mesh.Config) *report.Mesh {
	m := &report.Mesh{Brokers: mesh.Sorted(cfg.Brokers), Topics: mesh.Sorted(cfg.Topics)}
	for _, name := range mesh.Sorted(cfg.Subscriptions) {
		m.Subscriptions = append(m.Subscriptions, cfg.Subscriptions[name])
	}
	return m
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
		fmt.Fprintf(h, "%s %s %s\n", s.Resource.Name, s.Resource.Version, s.Selector)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// index makes the versions of what is served findable.
func (c *compiled) index() {
	c.versions = make(map[resolve.ResourceKey]string, len(c.view.Resources)+len(c.view.Scoped))
	for _, r := range c.view.Resources {
		c.versions[resolve.ResourceKey{TypeURL: r.TypeURL, Name: r.Name}] = r.Version
	}
	for _, s := range c.view.Scoped {
		c.versions[resolve.ResourceKey{TypeURL: s.Resource.TypeURL, Name: s.Resource.Name}] = s.Resource.Version
	}
}
