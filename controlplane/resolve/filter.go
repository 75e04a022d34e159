package resolve

import (
	"maps"
	"slices"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/mesh"
)

// filters turns declared filters into those of the mesh. A map of several
// attributes becomes an All of single comparisons, sorted by attribute, so that
// equal declarations give equal resources.
func filters(declared []v1alpha1.Filter) []mesh.Filter {
	var out []mesh.Filter
	for i := range declared {
		out = append(out, filter(&declared[i]))
	}
	return out
}

func filter(f *v1alpha1.Filter) mesh.Filter {
	switch {
	case f.Exact != nil:
		return comparisons(mesh.Exact, f.Exact)
	case f.Prefix != nil:
		return comparisons(mesh.Prefix, f.Prefix)
	case f.Suffix != nil:
		return comparisons(mesh.Suffix, f.Suffix)
	case f.Any != nil:
		return mesh.Filter{Op: mesh.Any, Sub: filters(f.Any)}
	case f.Not != nil:
		return mesh.Filter{Op: mesh.Not, Sub: []mesh.Filter{filter(f.Not)}}
	default:
		return mesh.Filter{Op: mesh.All, Sub: filters(f.All)}
	}
}

func comparisons(op mesh.FilterOp, attributes map[string]string) mesh.Filter {
	var all []mesh.Filter
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		all = append(all, mesh.Filter{Op: op, Attr: name, Value: attributes[name]})
	}
	if len(all) == 1 {
		return all[0]
	}
	return mesh.Filter{Op: mesh.All, Sub: all}
}
