// Package route encodes and decodes a topic's RouteConfiguration: rules (routes.go, rule.go)
// with their backends (destination.go, hash.go) and retries (retry.go).
//
// Rules are normal (normal.go) before they are encoded, so that what comes back is what
// went in. Many rules do the same: repeat.go encodes and decodes each different action
// once for a topic.
//
// Of Warren it imports mesh, xds, the messages in api/xds/v1, and the rooms field, message
// and filter. All functions are pure.
package route
