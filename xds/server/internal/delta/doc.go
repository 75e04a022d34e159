// Package delta is the content of delta xDS, without a transport: what is served, what
// one stream has of it, and what it lacks.
//
//	View ─────────┐
//	              ├─▶ Difference ─▶ Message
//	Subscription ─┘
//
// A View is immutable, and shares with the view before it what has not changed. An Entry
// is marshalled once for all streams and views, and a Message refers to those bytes. A
// Subscription is what one stream wants of one type, was told of it, and answered. It
// belongs to its stream, which calls it under a lock of its own.
//
// The package knows neither streams nor the index of who uses what: package server does.
// It imports package xds, the resources of xds/wire, and the trace context.
package delta
