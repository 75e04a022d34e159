// Package server pushes resources to sidecars by delta ADS and knows which of
// them each sidecar has accepted.
//
// Its room internal/delta has views, subscriptions and differences. The package itself
// has streams, the index of who uses what, the counts, and the bounds of peers. It
// imports package xds, the resources of xds/wire, and the spans of a change of
// configuration.
//
// It owns the protocol (nonces, subscriptions, what a sidecar was told), which sidecar
// gets which resources, and the ACK state. It does not own where resources come from,
// nor listening, TLS or the lifetime of the gRPC server.
//
//	Update -> view, swapped whole -> index: who uses what changed
//	                                     |
//	              each stream: names that may have changed -> difference -> response
//	                                     |
//	              ACK or NACK -> its rows, and the counts of the groups they are in
//
// All methods of Server are safe for concurrent use. Update never waits for a
// sidecar: it leaves a note at each stream that uses something of what changed, and
// the stream's own goroutine works out the difference when it gets to it, from the
// view that is current then. So a slow sidecar misses intermediate states, but never
// the last one. Each stream has its own lock, and so has each group. The index has one
// lock, which neither a push nor an answer takes.
//
// Context: ten thousand streams, of which a change concerns all or ten. Decision: this
// package speaks the protocol itself, on a codec that takes messages marshalled
// before. Cost: what go-control-plane's server would bring, such as state of the world,
// is ours to write.
//
//	s := server.New(server.Options{Logger: logger})
//	g := grpc.NewServer(server.ServerOptions()...)
//	s.Register(g)
//	s.Update(server.View{Resources: resources, Scoped: subscriptions})
//	defer s.Close() // before g.GracefulStop
package server
