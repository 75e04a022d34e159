package grpc

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	// scanFrom is the size of a message that is looked through before it is decoded.
	scanFrom = 64 << 10
	// maxElements is how many fields one message may have, those within its fields
	// counted: enough for a batch of 10,000 events with a dozen attributes each.
	maxElements = 600_000
	// maxEntries is how many of them may be messages at the top, such as the events of a
	// batch. One costs two bytes on the wire and a hundred when it is decoded. It is far
	// above a batch's own bound, which has an error of its own.
	maxEntries = 100_000
)

// frugal refuses messages that would be very much larger decoded than they are on the
// wire, and reads and writes events without messages of protobuf (wire.go, answer.go,
// deliveries.go). Everything else is the codec's own.
type frugal struct{ encoding.CodecV2 }

// Unmarshal implements encoding.CodecV2.
func (f frugal) Unmarshal(data mem.BufferSlice, v any) error {
	if into, ok := v.(read); ok {
		return f.read(data, into)
	}
	m, ok := v.(proto.Message)
	if !ok || data.Len() < scanFrom {
		return f.CodecV2.Unmarshal(data, v)
	}
	whole := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer whole.Free()
	left := bounds{elements: maxElements, entries: maxEntries}
	if !left.covers(whole.ReadOnlyData(), m.ProtoReflect().Descriptor(), true) {
		return fmt.Errorf("the message has more than %d fields or %d entries: send fewer events at once", maxElements, maxEntries)
	}
	return f.CodecV2.Unmarshal(mem.BufferSlice{whole}, v)
}

// Marshal implements encoding.CodecV2.
func (f frugal) Marshal(v any) (mem.BufferSlice, error) {
	if from, ok := v.(appender); ok {
		return f.write(from)
	}
	return f.CodecV2.Marshal(v)
}

// bounds are what is left of those of a message.
type bounds struct{ elements, entries int }

// covers takes the fields of a message from the bounds and reports whether there were
// enough. What is no message is the decoder's to refuse.
func (left *bounds) covers(b []byte, d protoreflect.MessageDescriptor, top bool) bool {
	for len(b) > 0 {
		left.elements--
		if left.elements < 0 || left.entries < 0 {
			return false
		}
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return true
		}
		b = b[n:]
		if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
			return true
		}
		field := d.Fields().ByNumber(number)
		if kind == protowire.BytesType && field != nil && field.Message() != nil {
			if top {
				left.entries--
			}
			if inner, _ := protowire.ConsumeBytes(b); !left.covers(inner, field.Message(), false) {
				return false
			}
		}
		b = b[n:]
	}
	return left.entries >= 0
}
