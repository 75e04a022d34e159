// Package server pushes resources to sidecars by delta ADS and knows which of
// them each sidecar has accepted.
//
// go-control-plane keeps the protocol (nonces, subscriptions, returned versions);
// the cache behind it is this package's: one immutable view, swapped whole, its
// resources marshalled once. The package owns which sidecar gets which resources,
// and the ACK state. It does not own where resources come from, nor listening, TLS
// or the lifetime of the gRPC server.
//
// All methods of Server are safe for concurrent use. Update never waits for a
// sidecar: it leaves a note in the mailbox of each stream that has something to
// send, and the stream's own goroutine works out the difference when it gets to it,
// from the view that is current then. So a slow sidecar misses intermediate states,
// but never the last one.
//
//	s := server.New(server.Options{Logger: logger})
//	g := grpc.NewServer(server.ServerOptions()...)
//	s.Register(g)
//	s.Update(server.View{Resources: resources, Scoped: subscriptions})
//	defer s.Close() // before g.GracefulStop
package server
