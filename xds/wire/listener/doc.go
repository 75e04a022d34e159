// Package listener encodes and decodes Listeners: a topic's, which names its routes
// (topic.go), and a subscription's, which is Warren's own message inside Envoy's
// (subscription.go, ordering.go).
//
// Of Warren it imports mesh, xds, the messages in api/xds/v1, and the rooms field, message
// and filter. All functions are pure.
package listener
