package delta

import (
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec that ours is upon
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/warrenmesh/warren/xds/wire"
)

// Numbers of fields, from discovery.proto and any.proto.
const (
	fieldResources protowire.Number = 2 // DeltaDiscoveryResponse.resources

	fieldVersion  protowire.Number = 1 // Resource
	fieldResource protowire.Number = 2
	fieldName     protowire.Number = 3

	fieldTypeURL protowire.Number = 1 // Any
	fieldValue   protowire.Number = 2
)

// Message is a DeltaDiscoveryResponse in its wire format. The resources in it are
// marshalled once for all streams and not copied; what differs from stream to stream is
// a few bytes around them. Only Codec knows it.
type Message struct{ buffers mem.BufferSlice }

// newMessage puts resources into a response. Metadata, if there is any, is the wire
// format of a Resource that has nothing else: messages are merged by concatenation
// (https://protobuf.dev/programming-guides/encoding/#last-one-wins).
func newMessage(resp *discoveryv3.DeltaDiscoveryResponse, entries []*Entry, metadata []byte) (*Message, error) {
	around, err := proto.Marshal(resp)
	if err != nil {
		return nil, err
	}
	m := &Message{buffers: make(mem.BufferSlice, 0, 2*len(entries)+1)}
	for _, e := range entries {
		around = protowire.AppendTag(around, fieldResources, protowire.BytesType)
		around = protowire.AppendVarint(around, uint64(len(e.body)+len(metadata))) //nolint:gosec // a length
		m.buffers = append(m.buffers, mem.SliceBuffer(around), mem.SliceBuffer(e.body))
		around = append([]byte(nil), metadata...)
	}
	if len(around) > 0 {
		m.buffers = append(m.buffers, mem.SliceBuffer(around))
	}
	return m, nil
}

// resourceBody returns a discovery Resource in its wire format.
func resourceBody(r wire.Resource) []byte {
	value := r.Any.GetValue()
	body := make([]byte, 0, len(r.Version)+len(r.Name)+len(r.Any.GetTypeUrl())+len(value)+32)
	body = protowire.AppendTag(body, fieldVersion, protowire.BytesType)
	body = protowire.AppendString(body, r.Version)
	body = protowire.AppendTag(body, fieldName, protowire.BytesType)
	body = protowire.AppendString(body, r.Name)
	var head []byte
	head = protowire.AppendTag(head, fieldTypeURL, protowire.BytesType)
	head = protowire.AppendString(head, r.Any.GetTypeUrl())
	head = protowire.AppendTag(head, fieldValue, protowire.BytesType)
	head = protowire.AppendVarint(head, uint64(len(value)))
	body = protowire.AppendTag(body, fieldResource, protowire.BytesType)
	body = protowire.AppendVarint(body, uint64(len(head)+len(value))) //nolint:gosec // a length
	return append(append(body, head...), value...)
}

// Codec is gRPC's for protobuf, which also takes messages that are marshalled already.
type Codec struct{ encoding.CodecV2 }

// NewCodec returns a Codec.
func NewCodec() Codec { return Codec{encoding.GetCodecV2("proto")} }

// Request is one in its wire format. The goroutine that receives does not decode it:
// its stack would grow, and stay so while it waits for days.
type Request []byte

// Wire is a message of another service that bounds what it takes before it is decoded.
type Wire interface {
	TakeWire(data mem.BufferSlice) error
}

// Unmarshal implements encoding.CodecV2.
func (c Codec) Unmarshal(data mem.BufferSlice, v any) error {
	switch v := v.(type) {
	case *Request:
		*v = data.Materialize()
		return nil
	case Wire:
		return v.TakeWire(data)
	default:
		return c.CodecV2.Unmarshal(data, v)
	}
}

// Decode returns the request that r is. Its error is what gRPC says of such a message.
func (r Request) Decode() (*discoveryv3.DeltaDiscoveryRequest, error) {
	req := new(discoveryv3.DeltaDiscoveryRequest)
	if err := proto.Unmarshal(r, req); err != nil {
		return nil, status.Errorf(codes.Internal, "grpc: failed to unmarshal the received message: %v", err)
	}
	return req, nil
}

// Marshal implements encoding.CodecV2.
func (c Codec) Marshal(v any) (mem.BufferSlice, error) {
	if m, ok := v.(*Message); ok {
		return m.buffers, nil
	}
	return c.CodecV2.Marshal(v)
}
