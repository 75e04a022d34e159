package delta

const (
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

	// maxNameBytes is more than "subscription/<namespace>/<name>" can have.
	maxNameBytes = 512
	// maxVersionBytes is more than any version of ours has.
	maxVersionBytes = 128
	// maxMissing bounds the names of one type that do not exist and whose state is
	// kept for Sidecars: names cost a peer nothing, and each change looks at all of
	// them. Names beyond it are answered, and Sidecars does not list them.
	maxMissing = 100
	// maxUnknown bounds the names without a row that one type gathers until the stream
	// may be told of them.
	maxUnknown = 100
)

// Beyond reports whether n is above a limit. A negative limit is none.
func Beyond(n, limit int) bool { return limit >= 0 && n > limit }
