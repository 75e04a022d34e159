// Package events is what a service of the shop runs to have events pushed to it: a gRPC
// server on loopback with health checks. All else is in package client; the shipping
// service does the same in Node without a library.
//
//	server := &events.Server{Address: "127.0.0.1:9090", Handler: billing}
//	err := server.Run(ctx)
package events
