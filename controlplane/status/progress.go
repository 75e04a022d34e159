package status

import (
	"cmp"
	"slices"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/xds/server"
)

// Progress counts how far an object has come, in sidecars. A sidecar that it does
// not concern does not count: it concerns those that have, or have asked for, one
// of its resources, and those that a subscription's selector picks.
type Progress = server.Progress

// Counter counts the progress of objects with the same resources. Progress is called
// often and must be cheap: what it returns is kept, not worked out.
type Counter interface{ Progress() Progress }

// kinds in their order.
var kinds = v1alpha1.Kinds()

func compareNames(a, b v1alpha1.ObjectName) int {
	return cmp.Or(
		cmp.Compare(slices.Index(kinds, a.Kind), slices.Index(kinds, b.Kind)),
		cmp.Compare(a.Namespace, b.Namespace),
		cmp.Compare(a.Name, b.Name),
	)
}
