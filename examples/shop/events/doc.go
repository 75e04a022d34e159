// Package events is a gRPC server on loopback with health checks, for services of the
// shop that events are pushed to. Everything else is in package client. The shipping
// service does the same in Node without a library.
//
//	server := &events.Server{Address: "127.0.0.1:9090", Handler: billing}
//	err := server.Run(ctx)
package events
