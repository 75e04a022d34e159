package server

import "time"

// Limits bound what unauthenticated peers can make the server hold. A zero field means
// its default, a negative one no bound.
type Limits struct {
	// Streams in all; default 10,000.
	Streams int
	// StreamsPerPeer are those from one address, without its port; default 1,000.
	// All clients of a unix socket are one peer, as are those behind one NAT.
	StreamsPerPeer int
	// Names of each type that one stream may subscribe to; default 10,000. The
	// wildcard is none.
	Names int
	// NamesPerPeer bounds the names of all streams of one peer; default 100,000.
	NamesPerPeer int
	// FirstRequest is how long a stream may take to say who it is; default 10 s.
	FirstRequest time.Duration
}

// WithDefaults returns l with its zero fields set.
func (l Limits) WithDefaults() Limits {
	for _, d := range []struct {
		field *int
		value int
	}{{&l.Streams, 10_000}, {&l.StreamsPerPeer, 1_000}, {&l.Names, 10_000}, {&l.NamesPerPeer, 100_000}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if l.FirstRequest <= 0 {
		l.FirstRequest = 10 * time.Second
	}
	return l
}

// beyond reports whether n is above a limit.
func beyond(n, limit int) bool { return limit >= 0 && n > limit }

const (
	// MaxResourceBytes is the largest resource that can be served. A response is not
	// split within a resource, and Warren's sidecars receive 16 MiB at most.
	MaxResourceBytes = 15 << 20
	// maxStockBytes is the largest resource for other clients, which usually receive 4
	// MiB at most. A larger one would end their stream each time they reconnect.
	maxStockBytes = 4<<20 - 64<<10

	// maxResponseBytes is what a response holds unless its only resource is larger.
	// gRPC clients receive 4 MiB by default, and a client that does not read holds one
	// response up.
	maxResponseBytes = 1 << 20
	// entryBytes is what a resource may take beside its content and name: its version,
	// the trace context in its metadata, and what protobuf adds.
	entryBytes = 1 << 10

	// maxRequestBytes is gRPC's default. The first request of a type with 10,000 names
	// and their versions has about 1 MiB.
	maxRequestBytes = 4 << 20
	// maxNameBytes is more than "subscription/<namespace>/<name>" can have.
	maxNameBytes = 512
	// maxVersionBytes is more than any version of ours has.
	maxVersionBytes = 128
	// maxTypes bounds the type URLs of one stream, those that are not served included.
	maxTypes     = 16
	maxTypeBytes = 256
	// maxMissing bounds the names of one type that do not exist and whose state is
	// kept for Sidecars: names cost a peer nothing, and each change looks at all of
	// them. Names beyond it are answered, and Sidecars does not list them.
	maxMissing = 100
	// maxErrorBytes bounds the reason that is kept of a sidecar's NACK.
	maxErrorBytes = 1 << 10
	// maxLoggedRejections bounds the lines that one refused response logs.
	maxLoggedRejections = 10
)
