package filter

import (
	xdsv1 "github.com/warrenmesh/warren/api/xds/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds/wire/field"
)

// EncodeList encodes filters in the form that Warren's own messages carry. What is no
// filter becomes an empty message, which DecodeList refuses.
func EncodeList(filters []mesh.Filter) []*xdsv1.Filter {
	var out []*xdsv1.Filter
	for _, f := range filters {
		out = append(out, encodeFilter(f))
	}
	return out
}

// encodeFilter leaves a filter that is none empty, which decoding refuses.
func encodeFilter(f mesh.Filter) *xdsv1.Filter {
	match := &xdsv1.AttributeMatch{Attribute: f.Attr, Value: f.Value}
	list := &xdsv1.FilterList{Filters: EncodeList(f.Sub)}
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

// DecodeList is the inverse of EncodeList. Filters nested deeper than 32 are an error, so
// that what walks them may recurse.
func DecodeList(p field.Path, filters []*xdsv1.Filter) ([]mesh.Filter, error) {
	return decodeFilters(p, filters, maxDepth)
}

func decodeFilters(p field.Path, filters []*xdsv1.Filter, depth int) ([]mesh.Filter, error) {
	var out []mesh.Filter
	for i, m := range filters {
		f, err := decodeFilter(p.Index(i), m, depth)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

func decodeFilter(p field.Path, m *xdsv1.Filter, depth int) (mesh.Filter, error) {
	if depth == 0 {
		return mesh.Filter{}, p.Errorf("nested deeper than %d", maxDepth)
	}
	switch f := m.GetFilter().(type) {
	case *xdsv1.Filter_Exact:
		return decodeAttribute(p.Field("exact"), mesh.Exact, f.Exact)
	case *xdsv1.Filter_Prefix:
		return decodeAttribute(p.Field("prefix"), mesh.Prefix, f.Prefix)
	case *xdsv1.Filter_Suffix:
		return decodeAttribute(p.Field("suffix"), mesh.Suffix, f.Suffix)
	case *xdsv1.Filter_All:
		return decodeList(p.Field("all"), mesh.All, f.All, depth)
	case *xdsv1.Filter_Any:
		return decodeList(p.Field("any"), mesh.Any, f.Any, depth)
	case *xdsv1.Filter_Not:
		sub, err := decodeFilter(p.Field("not"), f.Not, depth-1)
		return mesh.Filter{Op: mesh.Not, Sub: []mesh.Filter{sub}}, err
	default:
		return mesh.Filter{}, p.Errorf("want one of exact, prefix, suffix, all, any, not")
	}
}

func decodeList(p field.Path, op mesh.FilterOp, l *xdsv1.FilterList, depth int) (mesh.Filter, error) {
	if len(l.GetFilters()) == 0 {
		return mesh.Filter{}, p.Errorf("want at least one filter")
	}
	sub, err := decodeFilters(p.Field("filters"), l.GetFilters(), depth-1)
	return mesh.Filter{Op: op, Sub: sub}, err
}

func decodeAttribute(p field.Path, op mesh.FilterOp, m *xdsv1.AttributeMatch) (mesh.Filter, error) {
	if err := field.CheckAttribute(m.GetAttribute()); err != nil {
		return mesh.Filter{}, p.Field("attribute").Errorf("%w", err)
	}
	if m.GetValue() == "" {
		return mesh.Filter{}, p.Field("value").Errorf("is required")
	}
	return mesh.Filter{Op: op, Attr: m.GetAttribute(), Value: m.GetValue()}, nil
}
