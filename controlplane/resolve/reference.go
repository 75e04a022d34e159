package resolve

import (
	"fmt"
	"slices"
	"strings"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/mesh"
)

// maxListed is how many declared names a problem lists.
const maxListed = 8

// reference finds the object that a reference names. A dangling one is a problem, with
// two exceptions: Validate reports a missing name, and the name may be in text that
// could not be read.
func (r *resolver) reference(from *declare.Object, path v1alpha1.Path, kind, namespace, name string) (mesh.Name, bool) {
	target := mesh.Name{Namespace: namespace, Name: name}
	if _, found := r.declared[objectName(kind, target)]; found {
		return target, true
	}
	if name != "" && !r.set.Incomplete {
		known := r.known(kind, namespace)
		r.problem(from, path.Child("name"), v1alpha1.RefNotFound, fmt.Sprintf("%s %s is not declared%s: %s",
			kind, target, v1alpha1.DidYouMean(name, known), advice(kind, namespace, known)))
	}
	return target, false
}

// known lists the names of a kind that are declared in a namespace.
func (r *resolver) known(kind, namespace string) []string {
	var names []string
	for n := range r.declared {
		if n.Kind == kind && n.Namespace == namespace {
			names = append(names, n.Name)
		}
	}
	slices.Sort(names)
	return names
}

func advice(kind, namespace string, known []string) string {
	if len(known) == 0 {
		return fmt.Sprintf("declare it; namespace %q has no %s", namespace, kind)
	}
	more := ""
	if len(known) > maxListed {
		known, more = known[:maxListed], ", ..."
	}
	return fmt.Sprintf("declare it, or name one that is: %s%s", strings.Join(known, ", "), more)
}
