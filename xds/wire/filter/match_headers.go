package filter

import (
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds/wire/field"
)

// EncodeHeader encodes one comparison, or the negation of one: IsHeader must be true of
// it. Not of a missing attribute is true in CloudEvents: with
// treat_missing_header_as_empty it is in Envoy too, for a compared value is never empty.
func EncodeHeader(f mesh.Filter) *routev3.HeaderMatcher {
	inverted := f.Op == mesh.Not
	if inverted {
		f = f.Sub[0]
	}
	name, value := toHeader(f.Attr, f.Value)
	sm := &matcherv3.StringMatcher{}
	switch f.Op {
	case mesh.Exact:
		sm.MatchPattern = &matcherv3.StringMatcher_Exact{Exact: value}
	case mesh.Prefix:
		sm.MatchPattern = &matcherv3.StringMatcher_Prefix{Prefix: value}
	default:
		sm.MatchPattern = &matcherv3.StringMatcher_Suffix{Suffix: value}
	}
	return &routev3.HeaderMatcher{
		Name:                      name,
		HeaderMatchSpecifier:      &routev3.HeaderMatcher_StringMatch{StringMatch: sm},
		InvertMatch:               inverted,
		TreatMissingHeaderAsEmpty: inverted,
	}
}

// DecodeHeaders is the inverse of EncodeHeader, for all header matchers of a route.
func DecodeHeaders(p field.Path, headers []*routev3.HeaderMatcher) ([]mesh.Filter, error) {
	var out []mesh.Filter
	for i, h := range headers {
		f, err := decodeHeader(p.Index(i), h)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

func decodeHeader(p field.Path, h *routev3.HeaderMatcher) (mesh.Filter, error) {
	if h.GetStringMatch() == nil {
		return mesh.Filter{}, p.Field("string_match").Errorf("is required")
	}
	f, err := comparison(p, h.GetName(), h.GetStringMatch())
	if err != nil || !h.GetInvertMatch() {
		return f, err
	}
	if !h.GetTreatMissingHeaderAsEmpty() {
		return mesh.Filter{}, p.Field("treat_missing_header_as_empty").Errorf("is required with invert_match")
	}
	return mesh.Filter{Op: mesh.Not, Sub: []mesh.Filter{f}}, nil
}

// stringMatcher is what Envoy's and xDS's own string matcher have in common.
type stringMatcher interface {
	GetExact() string
	GetPrefix() string
	GetSuffix() string
}

// comparison decodes a match of one header. One of the three patterns at most is
// set, and none may be empty.
func comparison(p field.Path, header string, m stringMatcher) (mesh.Filter, error) {
	op, pattern := mesh.Exact, m.GetExact()
	if s := m.GetPrefix(); s != "" {
		op, pattern = mesh.Prefix, s
	} else if s := m.GetSuffix(); s != "" {
		op, pattern = mesh.Suffix, s
	}
	if pattern == "" {
		return mesh.Filter{}, p.Errorf("want a non-empty exact, prefix or suffix")
	}
	attribute, value, err := fromHeader(header, pattern)
	if err != nil {
		return mesh.Filter{}, p.Errorf("%w", err)
	}
	if err := field.CheckAttribute(attribute); err != nil {
		return mesh.Filter{}, p.Errorf("%w", err)
	}
	return mesh.Filter{Op: op, Attr: attribute, Value: value}, nil
}
