package wire

import (
	xdsv1 "github.com/warrenmesh/warren/api/xds/v1"
	"github.com/warrenmesh/warren/mesh"
)

func encodeFilters(filters []mesh.Filter) []*xdsv1.Filter {
	var out []*xdsv1.Filter
	for _, f := range filters {
		out = append(out, encodeFilter(f))
	}
	return out
}

// encodeFilter leaves a filter that is none empty, which decoding refuses.
func encodeFilter(f mesh.Filter) *xdsv1.Filter {
	match := &xdsv1.AttributeMatch{Attribute: f.Attr, Value: f.Value}
	list := &xdsv1.FilterList{Filters: encodeFilters(f.Sub)}
	out := &xdsv1.Filter{}
	switch f.Op {
	case mesh.Exact:
		out.Filter = &xdsv1.Filter_Exact{Exact: match}
	case mesh.Prefix:
		out.Filter = &xdsv1.Filter_Prefix{Prefix: match}
	case mesh.Suffix:
		out.Filter = &xdsv1.Filter_Suffix{Suffix: match}
	case mesh.All:
		out.Filter = &xdsv1.Filter_All{All: list}
	case mesh.Any:
		out.Filter = &xdsv1.Filter_Any{Any: list}
	case mesh.Not:
		if len(f.Sub) == 1 {
			out.Filter = &xdsv1.Filter_Not{Not: encodeFilter(f.Sub[0])}
		}
	}
	return out
}

func decodeFilters(p path, filters []*xdsv1.Filter, depth int) ([]mesh.Filter, error) {
	var out []mesh.Filter
	for i, m := range filters {
		f, err := decodeFilter(p.index(i), m, depth)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

func decodeFilter(p path, m *xdsv1.Filter, depth int) (mesh.Filter, error) {
	if depth == 0 {
		return mesh.Filter{}, p.errorf("nested deeper than %d", maxDepth)
	}
	switch f := m.GetFilter().(type) {
	case *xdsv1.Filter_Exact:
		return decodeAttribute(p.field("exact"), mesh.Exact, f.Exact)
	case *xdsv1.Filter_Prefix:
		return decodeAttribute(p.field("prefix"), mesh.Prefix, f.Prefix)
	case *xdsv1.Filter_Suffix:
		return decodeAttribute(p.field("suffix"), mesh.Suffix, f.Suffix)
	case *xdsv1.Filter_All:
		return decodeList(p.field("all"), mesh.All, f.All, depth)
	case *xdsv1.Filter_Any:
		return decodeList(p.field("any"), mesh.Any, f.Any, depth)
	case *xdsv1.Filter_Not:
		sub, err := decodeFilter(p.field("not"), f.Not, depth-1)
		return mesh.Filter{Op: mesh.Not, Sub: []mesh.Filter{sub}}, err
	default:
		return mesh.Filter{}, p.errorf("want one of exact, prefix, suffix, all, any, not")
	}
}

func decodeList(p path, op mesh.FilterOp, l *xdsv1.FilterList, depth int) (mesh.Filter, error) {
	if len(l.GetFilters()) == 0 {
		return mesh.Filter{}, p.errorf("want at least one filter")
	}
	sub, err := decodeFilters(p.field("filters"), l.GetFilters(), depth-1)
	return mesh.Filter{Op: op, Sub: sub}, err
}

func decodeAttribute(p path, op mesh.FilterOp, m *xdsv1.AttributeMatch) (mesh.Filter, error) {
	if err := checkAttribute(m.GetAttribute()); err != nil {
		return mesh.Filter{}, p.field("attribute").errorf("%w", err)
	}
	if m.GetValue() == "" {
		return mesh.Filter{}, p.field("value").errorf("is required")
	}
	return mesh.Filter{Op: op, Attr: m.GetAttribute(), Value: m.GetValue()}, nil
}
