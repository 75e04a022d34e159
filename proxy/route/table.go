// Package route matches events to rules.
//
// A Table is compiled once from a mesh.Config and never changes; a new
// configuration is a new Table. Compiling cannot fail, because xds/wire refuses
// what could not be compiled. Everything here is pure and safe for concurrent use;
// matching allocates nothing.
//
//	table := route.Compile(cfg)
//	topic, ok := table.Topic(name)
//	rule := topic.Match(e)
//	backend := rule.Pick(rand.Uint32())
package route

import (
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/balance"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/retry"
	"github.com/warrenmesh/warren/tracing/messaging"
	"github.com/warrenmesh/warren/xds"
)

// Table finds topics by name.
type Table struct {
	topics map[mesh.Name]*Topic
}

// Compile builds the table of a configuration. The makers make the stages of its rules.
func Compile(cfg *mesh.Config, makers ...Maker) *Table {
	t := &Table{topics: make(map[mesh.Name]*Topic, len(cfg.Topics))}
	for name, topic := range cfg.Topics {
		t.topics[name] = compileTopic(topic, cfg, makers)
	}
	return t
}

// Topic returns a topic and whether the configuration has it.
func (t *Table) Topic(name mesh.Name) (*Topic, bool) {
	topic, ok := t.topics[name]
	return topic, ok
}

// Topic is a compiled topic.
type Topic struct {
	Name  mesh.Name
	rules []Rule
	index index
}

// Match returns the first rule whose filters all match e. It is never nil for a topic
// that the control plane built, because that topic's last rule matches everything.
func (t *Topic) Match(e *event.Event) *Rule {
	if i := t.index.first(t.rules, e); i < len(t.rules) {
		return &t.rules[i]
	}
	return nil
}

// Rule is a compiled rule.
type Rule struct {
	*mesh.Rule
	// RetryPolicy decides about further tries.
	RetryPolicy retry.Policy
	// ConfigVersion is that of the configuration the rule belongs to.
	ConfigVersion string

	filter   Filter
	backends *backends
	stages   []Stage
}

// Key returns the value that keeps e on the same backend as other events of its key:
// that of the attribute by which the first backend with partitions is keyed. It is ""
// when no backend has partitions. All events of a key thus stay on one side of a
// canary.
func (r *Rule) Key(e *event.Event) string {
	if r.backends.key == "" {
		return ""
	}
	return e.Text(r.backends.key)
}

// Pick chooses a backend by weight; random is a uniformly distributed number.
func (r *Rule) Pick(random uint32) *Backend {
	return &r.backends.all[r.backends.weights.Pick(random)]
}

// Backend is a compiled destination.
type Backend struct {
	*mesh.Destination
	// TopicName is the destination's topic as "namespace/name", Resource its xDS
	// resource, and System what its broker is to telemetry.
	TopicName string
	Resource  string
	System    string

	key []mesh.Segment
}

// System returns the messaging.system of telemetry for the broker called name.
func System(cfg *mesh.Config, name mesh.Name) string {
	if b, ok := cfg.Brokers[name]; ok && b.Type == mesh.Memory {
		return messaging.SystemMemory
	}
	return messaging.SystemRabbitMQ
}

// RoutingKey expands the destination's template for e; a missing attribute
// expands to nothing. The caller checks the length (mesh.MaxRoutingKey).
func (b *Backend) RoutingKey(e *event.Event) string {
	if len(b.key) == 1 {
		return expand(b.key[0], e)
	}
	var out []byte
	for _, s := range b.key {
		out = append(out, expand(s, e)...)
	}
	return string(out)
}

// Key returns the value of the attribute by which the destination is partitioned. It
// is "" when the destination has no partitions or e lacks the attribute; then e has no
// order to keep.
func (b *Backend) Key(e *event.Event) string {
	if b.Partitions.Count == 0 {
		return ""
	}
	return e.Text(b.Partitions.Key)
}

func expand(s mesh.Segment, e *event.Event) string {
	if s.Attribute == "" {
		return s.Literal
	}
	return e.Text(s.Attribute)
}

func compileTopic(t *mesh.Topic, cfg *mesh.Config, makers []Maker) *Topic {
	out := &Topic{Name: t.Name, rules: make([]Rule, 0, len(t.Rules))}
	same := map[*mesh.Backend]*backends{}
	for i := range t.Rules {
		r := &t.Rules[i]
		compiled := &backends{}
		if len(r.Backends) > 0 {
			first := &r.Backends[0]
			if same[first] == nil || len(same[first].all) != len(r.Backends) {
				same[first] = compileBackends(r.Backends, cfg)
			}
			compiled = same[first]
		}
		out.rules = append(out.rules, Rule{
			Rule: r, RetryPolicy: retry.NewPolicy(r.Retry), ConfigVersion: cfg.Version, filter: CompileFilters(r.Filters), backends: compiled,
			stages: stagesOf(t.Name, r, makers),
		})
	}
	out.index = newIndex(out.rules)
	return out
}

// backends are those of a rule. Rules that share their list share them.
type backends struct {
	all     []Backend
	weights balance.Weighted
	key     string // attribute that keeps events on one backend; "" means none
}

func compileBackends(list []mesh.Backend, cfg *mesh.Config) *backends {
	out := &backends{}
	weights := make([]uint32, 0, len(list))
	for i := range list {
		d := &list[i].Destination
		if out.key == "" && d.Partitions.Count > 0 {
			out.key = d.Partitions.Key
		}
		out.all = append(out.all, compileBackend(d, cfg))
		weights = append(weights, list[i].Weight)
	}
	out.weights = balance.NewWeighted(weights)
	return out
}

func compileBackend(d *mesh.Destination, cfg *mesh.Config) Backend {
	segments, err := d.RoutingKey.Segments()
	if err != nil { // refused by xds/wire; literal text is the least surprise
		segments = []mesh.Segment{{Literal: string(d.RoutingKey)}}
	}
	return Backend{
		Destination: d,
		TopicName:   d.Topic.String(),
		Resource:    xds.TopicResource(d.Topic),
		System:      System(cfg, d.Broker),
		key:         segments,
	}
}
