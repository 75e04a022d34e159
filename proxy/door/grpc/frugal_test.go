package grpc

import (
	"bytes"
	"fmt"
	"testing"

	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

func TestMessagesThatGrowWhenDecodedAreRefusedBefore(t *testing.T) {
	t.Parallel()
	codec := frugal{encoding.GetCodecV2(protocodec.Name)}
	attributes := map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{}
	for i := range 12 {
		attributes[fmt.Sprintf("a%d", i)] = &eventsv1.CloudEvent_CloudEventAttributeValue{
			Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: "v"},
		}
	}
	one, err := proto.Marshal(&eventsv1.PublishBatchRequest{Entries: []*eventsv1.PublishBatchEntry{{Event: &eventsv1.CloudEvent{
		Id: "4711", Source: "/s", SpecVersion: "1.0", Type: "t", Attributes: attributes,
		Data: &eventsv1.CloudEvent_TextData{TextData: "{}"},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	largest := bounds{elements: maxElements, entries: maxEntries}
	if !largest.covers(bytes.Repeat(one, 10_000), (&eventsv1.PublishBatchRequest{}).ProtoReflect().Descriptor(), true) {
		t.Error("a batch of 10,000 events with 12 attributes each is refused")
	}
	some := bytes.Repeat(one, 500)
	half := len(some) / 2
	for name, test := range map[string]struct {
		data mem.BufferSlice
		to   proto.Message
		ok   bool
	}{
		"a batch":                  {mem.BufferSlice{mem.SliceBuffer(some)}, &eventsv1.PublishBatchRequest{}, true},
		"in two pieces":            {mem.BufferSlice{mem.SliceBuffer(some[:half]), mem.SliceBuffer(some[half:])}, &eventsv1.PublishBatchRequest{}, true},
		"a million empty entries":  {mem.BufferSlice{mem.SliceBuffer(bytes.Repeat([]byte{0x12, 0}, 1_000_000))}, &eventsv1.PublishBatchRequest{}, false},
		"the same in two pieces":   {mem.BufferSlice{mem.SliceBuffer(bytes.Repeat([]byte{0x12, 0}, 500_000)), mem.SliceBuffer(bytes.Repeat([]byte{0x12, 0}, 500_000))}, &eventsv1.PublishBatchRequest{}, false},
		"a stream of them":         {mem.BufferSlice{mem.SliceBuffer(bytes.Repeat([]byte{0x12, 0}, 1_000_000))}, &eventsv1.PublishStreamRequest{}, false},
		"a million unknown fields": {mem.BufferSlice{mem.SliceBuffer(bytes.Repeat([]byte{0x78, 0}, 1_000_000))}, &eventsv1.PublishRequest{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := codec.Unmarshal(test.data, test.to)
			if (err == nil) != test.ok {
				t.Errorf("%v, want it taken: %t", err, test.ok)
			}
			if got, ok := test.to.(*eventsv1.PublishBatchRequest); ok && test.ok && len(got.GetEntries()) != 500 {
				t.Errorf("%d entries decoded", len(got.GetEntries()))
			}
		})
	}
}
