package filter

import (
	"fmt"

	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds/wire/field"
	"github.com/warrenmesh/warren/xds/wire/message"
)

type (
	predicate     = xdsmatcherv3.Matcher_MatcherList_Predicate
	predicateList = xdsmatcherv3.Matcher_MatcherList_Predicate_PredicateList
)

// maxDepth bounds the nesting of filters, so that what walks them may recurse.
const maxDepth = 32

const headerInput = "request-headers"

// EncodeTree encodes normal filters, of which there is at least one.
func EncodeTree(filters []mesh.Filter) (*predicate, error) {
	if len(filters) == 1 {
		return encodePredicate(filters[0])
	}
	list, err := encodePredicates(filters)
	return &predicate{MatchType: &xdsmatcherv3.Matcher_MatcherList_Predicate_AndMatcher{AndMatcher: list}}, err
}

func encodePredicates(filters []mesh.Filter) (*predicateList, error) {
	if len(filters) == 0 {
		return nil, fmt.Errorf("filter: an empty list")
	}
	list := &predicateList{}
	for _, f := range filters {
		p, err := encodePredicate(f)
		if err != nil {
			return nil, err
		}
		list.Predicate = append(list.Predicate, p)
	}
	return list, nil
}

func encodePredicate(f mesh.Filter) (*predicate, error) {
	switch f.Op {
	case mesh.Exact, mesh.Prefix, mesh.Suffix:
		return singlePredicate(f)
	case mesh.All:
		list, err := encodePredicates(f.Sub)
		return &predicate{MatchType: &xdsmatcherv3.Matcher_MatcherList_Predicate_AndMatcher{AndMatcher: list}}, err
	case mesh.Any:
		list, err := encodePredicates(f.Sub)
		return &predicate{MatchType: &xdsmatcherv3.Matcher_MatcherList_Predicate_OrMatcher{OrMatcher: list}}, err
	case mesh.Not:
		if len(f.Sub) != 1 {
			return nil, fmt.Errorf("filter not: holds %d filters, want 1", len(f.Sub))
		}
		sub, err := encodePredicate(f.Sub[0])
		return &predicate{MatchType: &xdsmatcherv3.Matcher_MatcherList_Predicate_NotMatcher{NotMatcher: sub}}, err
	default:
		return nil, fmt.Errorf("filter %v: unknown", f.Op)
	}
}

func singlePredicate(f mesh.Filter) (*predicate, error) {
	name, value := toHeader(f.Attr, f.Value)
	input, err := message.Pack(&matcherv3.HttpRequestHeaderMatchInput{HeaderName: name})
	if err != nil {
		return nil, err
	}
	sm := &xdsmatcherv3.StringMatcher{}
	switch f.Op {
	case mesh.Exact:
		sm.MatchPattern = &xdsmatcherv3.StringMatcher_Exact{Exact: value}
	case mesh.Prefix:
		sm.MatchPattern = &xdsmatcherv3.StringMatcher_Prefix{Prefix: value}
	default:
		sm.MatchPattern = &xdsmatcherv3.StringMatcher_Suffix{Suffix: value}
	}
	return &predicate{MatchType: &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_{
		SinglePredicate: &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate{
			Input:   &xdscorev3.TypedExtensionConfig{Name: headerInput, TypedConfig: input},
			Matcher: &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_ValueMatch{ValueMatch: sm},
		},
	}}, nil
}

// DecodeTree is the inverse of EncodeTree.
func DecodeTree(p field.Path, m *predicate) ([]mesh.Filter, error) {
	f, err := decodePredicate(p, m, maxDepth)
	if err != nil {
		return nil, err
	}
	return Normal([]mesh.Filter{f}), nil
}

func decodePredicate(p field.Path, m *predicate, depth int) (mesh.Filter, error) {
	if depth == 0 {
		return mesh.Filter{}, p.Errorf("nested deeper than %d", maxDepth)
	}
	switch t := m.GetMatchType().(type) {
	case *xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_:
		return decodeSingle(p.Field("single_predicate"), t.SinglePredicate)
	case *xdsmatcherv3.Matcher_MatcherList_Predicate_AndMatcher:
		sub, err := decodePredicates(p.Field("and_matcher"), t.AndMatcher, depth)
		return mesh.Filter{Op: mesh.All, Sub: sub}, err
	case *xdsmatcherv3.Matcher_MatcherList_Predicate_OrMatcher:
		sub, err := decodePredicates(p.Field("or_matcher"), t.OrMatcher, depth)
		return mesh.Filter{Op: mesh.Any, Sub: sub}, err
	case *xdsmatcherv3.Matcher_MatcherList_Predicate_NotMatcher:
		sub, err := decodePredicate(p.Field("not_matcher"), t.NotMatcher, depth-1)
		return mesh.Filter{Op: mesh.Not, Sub: []mesh.Filter{sub}}, err
	default:
		return mesh.Filter{}, p.Errorf("want a single_predicate, and_matcher, or_matcher or not_matcher")
	}
}

func decodePredicates(p field.Path, list *predicateList, depth int) ([]mesh.Filter, error) {
	if len(list.GetPredicate()) < 2 {
		return nil, p.Field("predicate").Errorf("want at least 2")
	}
	var out []mesh.Filter
	for i, m := range list.GetPredicate() {
		f, err := decodePredicate(p.Field("predicate").Index(i), m, depth-1)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

func decodeSingle(p field.Path, m *xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate) (mesh.Filter, error) {
	var input matcherv3.HttpRequestHeaderMatchInput
	if err := message.Unpack(p.Field("input").Field("typed_config"), m.GetInput().GetTypedConfig(), &input); err != nil {
		return mesh.Filter{}, err
	}
	if m.GetValueMatch() == nil {
		return mesh.Filter{}, p.Field("value_match").Errorf("is required")
	}
	return comparison(p, input.GetHeaderName(), m.GetValueMatch())
}
