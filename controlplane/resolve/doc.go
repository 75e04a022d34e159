// Package resolve turns declared objects into the mesh configuration.
//
// It owns everything that needs more than one object to see: references, routes
// merged into topics, names two objects claim, what a broker's type cannot
// honour, and which xDS resources an object becomes part of. What one object
// alone may say is checked in controlplane/declare, what a resource may hold in
// xds/wire.
//
// Resolve is pure: no clock, no I/O, the same set always gives the same result.
// It copes with objects that have problems, so that all problems of a set are
// found at once; a result with problems must not come into force.
//
//	set, problems := declare.Declare(batches...)
//	result, more := resolve.Resolve(set)
//
// resolve.go has the steps in their order. A kind has a file (broker, topic, route,
// subscription), and so has what several kinds share: references and filters, and the
// names of exchanges and queues that only one object may claim. The package imports
// api/v1alpha1, controlplane/declare, mesh and xds (names of resources).
//
// # Decision: routes of one topic are merged by age, then by name
//
// Context: several routes may name one topic as their parent, and the first rule
// that matches wins.
// Decision: as the Gateway API does, the rules of the oldest route come first,
// then by the route's name in alphabetical order. Files have no age, so there the
// name alone decides. The topic's own default rule, itself, is always last.
// Cost: renaming a route can change which rule wins.
package resolve
