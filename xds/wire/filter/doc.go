// Package filter encodes and decodes [mesh.Filter] in the three forms that a filter has on
// the wire:
//
//   - a header matcher of a route (match_headers.go), which can say one comparison or its
//     negation,
//   - a matcher tree (match_tree.go), which can say any filter, in a form that [Normal]
//     makes,
//   - Warren's own message in a subscription (filter.go).
//
// Envoy's two forms match an event as if it were an HTTP request (attribute.go).
//
// Of Warren it imports mesh, the messages in api/xds/v1, and the rooms field and message.
// All functions are pure.
package filter
