package route_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/warrenmesh/warren/internal/budget"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/route"
)

func exact(attr, value string) mesh.Filter {
	return mesh.Filter{Op: mesh.Exact, Attr: attr, Value: value}
}

func not(f mesh.Filter) mesh.Filter { return mesh.Filter{Op: mesh.Not, Sub: []mesh.Filter{f}} }

func order() *event.Event {
	e := &event.Event{ID: "1", Source: "/shop", Type: "com.shop.order.placed"}
	e.Set("region", event.String("eu"))
	e.Set("amount", event.Integer(42))
	return e
}

func TestFilters(t *testing.T) {
	t.Parallel()
	prefix := mesh.Filter{Op: mesh.Prefix, Attr: "type", Value: "com.shop."}
	suffix := mesh.Filter{Op: mesh.Suffix, Attr: "type", Value: ".placed"}
	for name, test := range map[string]struct {
		filters []mesh.Filter
		want    bool
	}{
		"no filter matches everything":                       {nil, true},
		"exact compares the whole value":                     {[]mesh.Filter{exact("source", "/shop")}, true},
		"exact does not match a part":                        {[]mesh.Filter{exact("source", "/sho")}, false},
		"exact is case-sensitive":                            {[]mesh.Filter{exact("source", "/Shop")}, false},
		"exact sees an integer in its canonical form":        {[]mesh.Filter{exact("amount", "42")}, true},
		"specversion can be matched":                         {[]mesh.Filter{exact("specversion", "1.0")}, true},
		"a missing attribute does not match":                 {[]mesh.Filter{exact("subject", "x")}, false},
		"not of a missing attribute matches":                 {[]mesh.Filter{not(exact("subject", "x"))}, true},
		"prefix matches the beginning":                       {[]mesh.Filter{prefix}, true},
		"suffix matches the end":                             {[]mesh.Filter{suffix}, true},
		"several filters must all match":                     {[]mesh.Filter{prefix, suffix, exact("region", "us")}, false},
		"all needs every one":                                {[]mesh.Filter{{Op: mesh.All, Sub: []mesh.Filter{prefix, suffix}}}, true},
		"all fails with one that fails":                      {[]mesh.Filter{{Op: mesh.All, Sub: []mesh.Filter{prefix, exact("region", "us")}}}, false},
		"any needs one":                                      {[]mesh.Filter{{Op: mesh.Any, Sub: []mesh.Filter{exact("region", "us"), suffix}}}, true},
		"any fails when none matches":                        {[]mesh.Filter{{Op: mesh.Any, Sub: []mesh.Filter{exact("region", "us"), exact("source", "x")}}}, false},
		"filters nest":                                       {[]mesh.Filter{not(mesh.Filter{Op: mesh.Any, Sub: []mesh.Filter{exact("region", "us"), not(prefix)}})}, true},
		"an unknown dialect matches nothing, not everything": {[]mesh.Filter{{Op: 99}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := route.CompileFilters(test.filters).Matches(order()); got != test.want {
				t.Errorf("Matches = %v, want %v", got, test.want)
			}
		})
	}
}

func table(rules ...mesh.Rule) (*route.Topic, bool) {
	name := mesh.Name{Namespace: "shop", Name: "orders"}
	return route.Compile(&mesh.Config{Topics: map[mesh.Name]*mesh.Topic{name: {Name: name, Rules: rules}}}).Topic(name)
}

func to(key string) []mesh.Backend {
	return []mesh.Backend{{Destination: mesh.Destination{RoutingKey: mesh.Template(key)}, Weight: 1}}
}

func TestTheFirstMatchingRuleWins(t *testing.T) {
	t.Parallel()
	topic, ok := table(
		mesh.Rule{Name: "r/us", Filters: []mesh.Filter{exact("region", "us")}, Backends: to("us")},
		mesh.Rule{Name: "r/eu", Filters: []mesh.Filter{exact("region", "eu")}, Backends: to("eu")},
		mesh.Rule{Name: "", Backends: to("rest")},
	)
	if !ok {
		t.Fatal("topic is not in its table")
	}
	if got := topic.Match(order()).Name; got != "r/eu" {
		t.Errorf("matched rule %q, want r/eu", got)
	}
	other := order()
	other.Set("region", event.String("ap"))
	if got := topic.Match(other).Name; got != "" {
		t.Errorf("matched rule %q, want the topic's own", got)
	}
}

func TestRoutingKeyExpandsItsTemplate(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]string{
		"{type}":              "com.shop.order.placed",
		"fixed":               "fixed",
		"":                    "",
		"{region}.{type}.x":   "eu.com.shop.order.placed.x",
		"{region}.{subject}.": "eu..",
		"{amount}":            "42",
	} {
		topic, _ := table(mesh.Rule{Backends: to(template)})
		if got := topic.Match(order()).Pick(0).RoutingKey(order()); got != want {
			t.Errorf("template %q: key %q, want %q", template, got, want)
		}
	}
}

func TestWhatAnEventsKeyIs(t *testing.T) {
	t.Parallel()
	plain := mesh.Backend{Weight: 1}
	by := func(key string) mesh.Backend {
		return mesh.Backend{Weight: 1, Destination: mesh.Destination{Partitions: mesh.Partitions{Count: 8, Key: key}}}
	}
	for name, test := range map[string]struct {
		backends []mesh.Backend
		rule     string
		backend  string // of the last
	}{
		"no partitions, no key":                       {[]mesh.Backend{plain, plain}, "", ""},
		"the attribute of the partitions":             {[]mesh.Backend{by("region")}, "eu", "eu"},
		"in its canonical form":                       {[]mesh.Backend{by("amount")}, "42", "42"},
		"one that the event has not":                  {[]mesh.Backend{by("subject")}, "", ""},
		"a rule's is its first partitioned backend's": {[]mesh.Backend{plain, by("region"), by("amount")}, "eu", "42"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topic, _ := table(mesh.Rule{Backends: test.backends})
			rule := topic.Match(order())
			if got := rule.Key(order()); got != test.rule {
				t.Errorf("the rule's key is %q, want %q", got, test.rule)
			}
			if got := rule.Pick(math.MaxUint32).Key(order()); got != test.backend {
				t.Errorf("the backend's key is %q, want %q", got, test.backend)
			}
		})
	}
}

// The budget of the hot path: matching, picking and a one-attribute key allocate
// nothing.
func BenchmarkMatch(b *testing.B) {
	topic, _ := table(
		mesh.Rule{Filters: []mesh.Filter{exact("region", "us")}, Backends: to("{type}")},
		mesh.Rule{Filters: []mesh.Filter{{Op: mesh.Prefix, Attr: "type", Value: "com.shop."}}, Backends: to("{type}")},
	)
	e := order()
	b.ReportAllocs()
	for b.Loop() {
		_ = topic.Match(e).Pick(1 << 31).RoutingKey(e)
	}
}

// BenchmarkStages is what a rule's stages cost: none of them, which must be nothing, and
// one that does nothing.
func BenchmarkStages(b *testing.B) {
	idle := func(mesh.Name, *mesh.Rule) route.Stage { return idleStage{} }
	for name, test := range map[string]struct {
		makers []route.Maker
		budget float64
	}{"none": {nil, 0}, "one": {[]route.Maker{idle}, 1}} {
		b.Run(name, func(b *testing.B) {
			all := mesh.Rule{Backends: to("{type}")}
			name := mesh.Name{Namespace: "shop", Name: "orders"}
			cfg := &mesh.Config{Topics: map[mesh.Name]*mesh.Topic{name: {Name: name, Rules: []mesh.Rule{all}}}}
			topic, _ := route.Compile(cfg, test.makers...).Topic(name)
			e := order()
			rule := topic.Match(e)
			backend := rule.Pick(0)
			budget.Allocs(b, test.budget)
			for b.Loop() {
				if err := rule.Pass(context.Background(), e, backend); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type idleStage struct{}

func (idleStage) Pass(context.Context, *route.Passage) error { return nil }

// Rules are looked up, and still the first that matches wins: whatever rules there
// are, the answer is that of trying one after another.
func TestManyRulesMatchAsIfTriedInOrder(t *testing.T) {
	t.Parallel()
	const seed = 7
	random := rand.New(rand.NewPCG(seed, seed))
	attributes := []string{"type", "source", "region", "amount", "subject", "tenant"}
	draw := func() mesh.Filter {
		f := exact(attributes[random.IntN(len(attributes))], fmt.Sprint(random.IntN(4)))
		switch random.IntN(8) {
		case 0:
			f.Op = mesh.Prefix
		case 1:
			f = not(f)
		case 2:
			f = mesh.Filter{Op: mesh.Any, Sub: []mesh.Filter{f, exact("region", "3")}}
		}
		return f
	}
	matched := map[string]bool{}
	for range 300 {
		var rules []mesh.Rule
		for i := range random.IntN(60) {
			r := mesh.Rule{Name: fmt.Sprint(i)}
			for range random.IntN(3) + 1 {
				r.Filters = append(r.Filters, draw())
			}
			rules = append(rules, r)
		}
		topic, _ := table(rules...)
		for range 20 {
			e := &event.Event{ID: "1", Source: fmt.Sprint(random.IntN(4)), Type: fmt.Sprint(random.IntN(4))}
			for _, name := range attributes[2:] {
				if random.IntN(4) > 0 {
					e.Set(name, event.Integer(int32(random.IntN(4))))
				}
			}
			want, got := "", ""
			for _, r := range rules {
				if route.CompileFilters(r.Filters).Matches(e) {
					want = r.Name
					break
				}
			}
			if r := topic.Match(e); r != nil {
				got = r.Name
			}
			if got != want {
				t.Fatalf("rule %q of %+v matches %+v, want %q", got, rules, e, want)
			}
			matched[got] = true
		}
	}
	if len(matched) < 20 {
		t.Errorf("only the rules %v ever matched", matched)
	}
}

// BenchmarkMatchOfTenThousand is the last rule but one of a big topic.
func BenchmarkMatchOfTenThousand(b *testing.B) {
	rules := make([]mesh.Rule, 0, 10_001)
	for i := range 10_000 {
		rules = append(rules, mesh.Rule{Filters: []mesh.Filter{exact("type", fmt.Sprint("com.shop.", i))}, Backends: to("{type}")})
	}
	topic, _ := table(append(rules, mesh.Rule{Backends: to("{type}")})...)
	e := order()
	e.Type = "com.shop.9999"
	b.ReportAllocs()
	for b.Loop() {
		_ = topic.Match(e)
	}
}

func TestMatchingAllocatesNothing(t *testing.T) {
	topic, _ := table(mesh.Rule{Filters: []mesh.Filter{{Op: mesh.Prefix, Attr: "type", Value: "com.shop."}}, Backends: to("{type}")})
	e := order()
	if n := testing.AllocsPerRun(100, func() { _ = topic.Match(e).Pick(7).RoutingKey(e) }); n != 0 {
		t.Errorf("%v allocations per event, want 0", n)
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("type", "com.shop.", uint8(2))
	f.Add("", "", uint8(0))
	f.Fuzz(func(t *testing.T, attr, value string, op uint8) {
		leaf := mesh.Filter{Op: mesh.FilterOp(op), Attr: attr, Value: value}
		e := order()
		plain := route.CompileFilters([]mesh.Filter{leaf}).Matches(e)
		if double := route.CompileFilters([]mesh.Filter{not(not(leaf))}).Matches(e); double != plain {
			t.Errorf("not(not(f)) = %v, f = %v", double, plain)
		}
		for _, group := range []mesh.FilterOp{mesh.All, mesh.Any} {
			if one := route.CompileFilters([]mesh.Filter{{Op: group, Sub: []mesh.Filter{leaf}}}).Matches(e); one != plain {
				t.Errorf("%v of one = %v, f = %v", group, one, plain)
			}
		}
	})
}

func ExampleTable() {
	name := mesh.Name{Namespace: "shop", Name: "orders"}
	table := route.Compile(&mesh.Config{Topics: map[mesh.Name]*mesh.Topic{name: {Name: name, Rules: []mesh.Rule{{
		Filters:  []mesh.Filter{{Op: mesh.Prefix, Attr: "type", Value: "com.shop."}},
		Backends: []mesh.Backend{{Destination: mesh.Destination{RoutingKey: "{type}"}, Weight: 1}},
	}}}}})
	e := &event.Event{ID: "1", Source: "/shop", Type: "com.shop.order.placed"}
	topic, _ := table.Topic(name)
	fmt.Println(topic.Match(e).Pick(0).RoutingKey(e))
	// Output: com.shop.order.placed
}
