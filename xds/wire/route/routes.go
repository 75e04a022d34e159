package route

import (
	"slices"

	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire/field"
	"github.com/warrenmesh/warren/xds/wire/filter"
	"github.com/warrenmesh/warren/xds/wire/message"
)

const routeAction = "route"

// Encode encodes normal rules: as plain routes when header matchers
// can say every filter, as one matcher tree when they cannot. The order of rules
// is kept either way, which mixing the two would not.
func Encode(name string, rules []mesh.Rule) (*routev3.RouteConfiguration, error) {
	host := &routev3.VirtualHost{Name: name, Domains: []string{"*"}}
	var err error
	if slices.ContainsFunc(rules, needsTree) {
		host.Matcher, err = matcherTree(rules)
	} else {
		host.Routes, err = plainRoutes(rules)
	}
	if err != nil {
		return nil, err
	}
	return &routev3.RouteConfiguration{Name: name, VirtualHosts: []*routev3.VirtualHost{host}}, nil
}

func needsTree(r mesh.Rule) bool {
	return slices.ContainsFunc(r.Filters, func(f mesh.Filter) bool { return !filter.IsHeader(f) })
}

func plainRoutes(rules []mesh.Rule) ([]*routev3.Route, error) {
	var out []*routev3.Route
	e := newRuleEncoder()
	for i := range rules {
		r, err := e.rule(&rules[i])
		if err != nil {
			return nil, err
		}
		for _, f := range rules[i].Filters {
			r.Match.Headers = append(r.Match.Headers, filter.EncodeHeader(f))
		}
		out = append(out, r)
	}
	return out, nil
}

func matcherTree(rules []mesh.Rule) (*xdsmatcherv3.Matcher, error) {
	list := &xdsmatcherv3.Matcher_MatcherList{}
	tree := &xdsmatcherv3.Matcher{MatcherType: &xdsmatcherv3.Matcher_MatcherList_{MatcherList: list}}
	e := newRuleEncoder()
	for i := range rules {
		action, err := e.action(&rules[i])
		if err != nil {
			return nil, err
		}
		if len(rules[i].Filters) == 0 {
			tree.OnNoMatch = action
			break
		}
		p, err := filter.EncodeTree(rules[i].Filters)
		if err != nil {
			return nil, err
		}
		list.Matchers = append(list.Matchers, &xdsmatcherv3.Matcher_MatcherList_FieldMatcher{Predicate: p, OnMatch: action})
	}
	return tree, nil
}

func (e *ruleEncoder) action(r *mesh.Rule) (*xdsmatcherv3.Matcher_OnMatch, error) {
	route, err := e.rule(r)
	if err != nil {
		return nil, err
	}
	body, err := message.Pack(route)
	if err != nil {
		return nil, err
	}
	return &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Action{
		Action: &xdscorev3.TypedExtensionConfig{Name: routeAction, TypedConfig: body},
	}}, nil
}

// Decode returns the topic of a route configuration and its rules.
func Decode(body *anypb.Any) (topic mesh.Name, rules []mesh.Rule, err error) {
	var c routev3.RouteConfiguration
	actions, err := unpackRoutes(body, &c)
	if err != nil {
		return mesh.Name{}, nil, err
	}
	return decode(&c, actions)
}

// decode takes the actions of plain routes as unpackRoutes left them.
func decode(c *routev3.RouteConfiguration, actions [][]byte) (topic mesh.Name, rules []mesh.Rule, err error) {
	if topic, err = xds.ParseTopicResource(c.GetName()); err != nil {
		return topic, nil, field.Path("name").Errorf("%w", err)
	}
	hosts := field.Path("virtual_hosts")
	if len(c.GetVirtualHosts()) != 1 {
		return topic, nil, hosts.Errorf("want exactly 1, have %d", len(c.GetVirtualHosts()))
	}
	host, at := c.GetVirtualHosts()[0], hosts.Index(0)
	if !slices.Equal(host.GetDomains(), []string{"*"}) {
		return topic, nil, at.Field("domains").Errorf("want \"*\" alone")
	}
	rules, err = decodeHost(at, host, actions)
	return topic, rules, err
}

func decodeHost(p field.Path, h *routev3.VirtualHost, actions [][]byte) ([]mesh.Rule, error) {
	if h.GetMatcher() == nil {
		return decodePlain(p.Field("routes"), h.GetRoutes(), actions)
	}
	if len(h.GetRoutes()) > 0 {
		return nil, p.Field("routes").Errorf("not supported beside a matcher")
	}
	return decodeTree(p.Field("matcher"), h.GetMatcher())
}

func decodePlain(p field.Path, routes []*routev3.Route, actions [][]byte) ([]mesh.Rule, error) {
	var out []mesh.Rule
	d := newRuleDecoder()
	for i, r := range routes {
		at := p.Index(i)
		var action []byte
		if len(actions) > 0 {
			action = actions[i]
		}
		rule, err := d.rule(at, r, action)
		if err != nil {
			return nil, err
		}
		if rule.Filters, err = filter.DecodeHeaders(at.Field("match").Field("headers"), r.GetMatch().GetHeaders()); err != nil {
			return nil, err
		}
		out = append(out, rule)
	}
	if len(out) == 0 || len(out[len(out)-1].Filters) > 0 {
		return nil, p.Errorf("the last one must match every event")
	}
	return out, nil
}

func decodeTree(p field.Path, m *xdsmatcherv3.Matcher) ([]mesh.Rule, error) {
	var out []mesh.Rule
	d := newRuleDecoder()
	list := p.Field("matcher_list").Field("matchers")
	for i, f := range m.GetMatcherList().GetMatchers() {
		at := list.Index(i)
		rule, err := d.action(at.Field("on_match"), f.GetOnMatch())
		if err != nil {
			return nil, err
		}
		if rule.Filters, err = filter.DecodeTree(at.Field("predicate"), f.GetPredicate()); err != nil {
			return nil, err
		}
		out = append(out, rule)
	}
	last, err := d.action(p.Field("on_no_match"), m.GetOnNoMatch())
	if err != nil {
		return nil, err
	}
	return append(out, last), nil
}

func (d *ruleDecoder) action(p field.Path, m *xdsmatcherv3.Matcher_OnMatch) (mesh.Rule, error) {
	at := p.Field("action").Field("typed_config")
	var route routev3.Route
	raw, err := unpackRoute(at, m.GetAction().GetTypedConfig(), &route)
	if err != nil {
		return mesh.Rule{}, err
	}
	if len(route.GetMatch().GetHeaders()) > 0 {
		return mesh.Rule{}, at.Field("match").Field("headers").Errorf("not supported inside a matcher")
	}
	return d.rule(at, &route, raw)
}
