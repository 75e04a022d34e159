package dapr

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/warrenmesh/warren/test/bench/internal/load"
)

// declared is what Dapr 1.16 declares of the messages in use: names, numbers and types.
const declared = `
name: "dapr.proto" package: "dapr.proto.runtime.v1" syntax: "proto3"
message_type { name: "PublishEventRequest"
  field { name: "pubsub_name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "topic" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "data" number: 3 type: TYPE_BYTES label: LABEL_OPTIONAL }
  field { name: "data_content_type" number: 4 type: TYPE_STRING label: LABEL_OPTIONAL } }
message_type { name: "BulkPublishRequest"
  field { name: "pubsub_name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "topic" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "entries" number: 3 type: TYPE_MESSAGE type_name: ".dapr.proto.runtime.v1.BulkPublishRequestEntry" label: LABEL_REPEATED } }
message_type { name: "BulkPublishRequestEntry"
  field { name: "entry_id" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "event" number: 2 type: TYPE_BYTES label: LABEL_OPTIONAL }
  field { name: "content_type" number: 3 type: TYPE_STRING label: LABEL_OPTIONAL } }
message_type { name: "BulkPublishResponse"
  field { name: "failedEntries" number: 1 type: TYPE_MESSAGE type_name: ".dapr.proto.runtime.v1.BulkPublishResponseFailedEntry" label: LABEL_REPEATED } }
message_type { name: "BulkPublishResponseFailedEntry"
  field { name: "entry_id" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "error" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL } }
message_type { name: "SubscribeTopicEventsRequestAlpha1"
  oneof_decl { name: "request" }
  field { name: "initial_request" number: 1 oneof_index: 0 type: TYPE_MESSAGE type_name: ".dapr.proto.runtime.v1.Initial" label: LABEL_OPTIONAL }
  field { name: "event_processed" number: 2 oneof_index: 0 type: TYPE_MESSAGE type_name: ".dapr.proto.runtime.v1.Processed" label: LABEL_OPTIONAL } }
message_type { name: "Initial"
  field { name: "pubsub_name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "topic" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL } }
message_type { name: "Processed"
  field { name: "id" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "status" number: 2 type: TYPE_MESSAGE type_name: ".dapr.proto.runtime.v1.TopicEventResponse" label: LABEL_OPTIONAL } }
message_type { name: "TopicEventResponse"
  field { name: "status" number: 1 type: TYPE_INT32 label: LABEL_OPTIONAL } }
message_type { name: "SubscribeTopicEventsResponseAlpha1"
  oneof_decl { name: "response" }
  field { name: "initial_response" number: 1 oneof_index: 0 type: TYPE_MESSAGE type_name: ".dapr.proto.runtime.v1.InitialResponse" label: LABEL_OPTIONAL }
  field { name: "event_message" number: 2 oneof_index: 0 type: TYPE_MESSAGE type_name: ".dapr.proto.runtime.v1.TopicEventRequest" label: LABEL_OPTIONAL } }
message_type { name: "InitialResponse" }
message_type { name: "TopicEventRequest"
  field { name: "id" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "spec_version" number: 4 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "topic" number: 6 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "data" number: 7 type: TYPE_BYTES label: LABEL_OPTIONAL }
  field { name: "number" number: 11 type: TYPE_INT64 label: LABEL_OPTIONAL } }
`

// fake is a Dapr sidecar with a queue in memory. It decodes with the declaration, and
// refuses what has fields that are not declared.
type fake struct {
	file  protoreflect.FileDescriptor
	queue chan []byte
	fail  string // the error of the second entry of each batch

	mu      sync.Mutex
	unacked map[string]bool
}

func (f *fake) message(name protoreflect.Name) *dynamicpb.Message {
	return dynamicpb.NewMessage(f.file.Messages().ByName(name))
}

func field(m protoreflect.Message, name protoreflect.Name) protoreflect.Value {
	return m.Get(m.Descriptor().Fields().ByName(name))
}

func set(m protoreflect.Message, name protoreflect.Name, value any) {
	m.Set(m.Descriptor().Fields().ByName(name), protoreflect.ValueOf(value))
}

// check refuses a message that was not sent as expected.
func check(m protoreflect.Message) error {
	if len(m.GetUnknown()) > 0 || field(m, "pubsub_name").String() != "pubsub" || field(m, "topic").String() != "bench" {
		return errors.New("not a request of the comparison: " + prototext.Format(m.Interface()))
	}
	return nil
}

func (f *fake) publish(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	m := f.message("PublishEventRequest")
	if err := errors.Join(decode(m), check(m)); err != nil {
		return nil, err
	}
	if field(m, "data_content_type").String() != load.ContentType {
		return nil, errors.New("another content type")
	}
	f.queue <- field(m, "data").Bytes()
	return new(emptypb.Empty), nil
}

func (f *fake) bulk(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	m := f.message("BulkPublishRequest")
	if err := errors.Join(decode(m), check(m)); err != nil {
		return nil, err
	}
	response, entries := f.message("BulkPublishResponse"), field(m, "entries").List()
	for i := range entries.Len() {
		entry := entries.Get(i).Message()
		if f.fail == "" || i != 1 {
			f.queue <- field(entry, "event").Bytes()
			continue
		}
		failed := f.message("BulkPublishResponseFailedEntry")
		set(failed, "entry_id", field(entry, "entry_id").String())
		set(failed, "error", f.fail)
		response.Mutable(response.Descriptor().Fields().ByName("failedEntries")).List().Append(protoreflect.ValueOfMessage(failed))
	}
	return response, nil
}

func (f *fake) subscribe(_ any, stream grpc.ServerStream) error {
	first, ready := f.message("SubscribeTopicEventsRequestAlpha1"), f.message("SubscribeTopicEventsResponseAlpha1")
	if err := stream.RecvMsg(first); err != nil {
		return err
	}
	if err := check(field(first, "initial_request").Message()); err != nil {
		return err
	}
	set(ready, "initial_response", f.message("InitialResponse").ProtoReflect())
	if err := stream.SendMsg(ready); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- f.settle(stream) }()
	for {
		select {
		case body := <-f.queue:
			if err := f.deliver(stream, body); err != nil {
				return err
			}
		case err := <-ended:
			return err
		}
	}
}

func (f *fake) deliver(stream grpc.ServerStream, body []byte) error {
	event, response := f.message("TopicEventRequest"), f.message("SubscribeTopicEventsResponseAlpha1")
	id := "event-" + string(body[8:16])
	for name, value := range map[protoreflect.Name]any{"id": "", "spec_version": "1.0", "topic": "bench", "data": body, "number": int64(-1)} {
		set(event, name, value)
	}
	id = strings.ToValidUTF8(id, "?")
	set(event, "id", id)
	set(response, "event_message", event.ProtoReflect())
	f.mu.Lock()
	f.unacked[id] = true
	f.mu.Unlock()
	return stream.SendMsg(response)
}

func (f *fake) settle(stream grpc.ServerStream) error {
	for {
		m := f.message("SubscribeTopicEventsRequestAlpha1")
		if err := stream.RecvMsg(m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		done := field(m, "event_processed").Message()
		if !done.Has(done.Descriptor().Fields().ByName("status")) || field(field(done, "status").Message(), "status").Int() != 0 {
			return errors.New("an event was not a success")
		}
		f.mu.Lock()
		delete(f.unacked, field(done, "id").String())
		f.mu.Unlock()
	}
}

// start serves a fake, and opens a target of it.
func start(t *testing.T, fail string) (*fake, *Target) {
	t.Helper()
	var file descriptorpb.FileDescriptorProto
	if err := prototext.Unmarshal([]byte(declared), &file); err != nil {
		t.Fatal(err)
	}
	d, err := protodesc.NewFile(proto.CloneOf(&file), nil)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{file: d, queue: make(chan []byte, 1000), fail: fail, unacked: map[string]bool{}}
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "dapr.proto.runtime.v1.Dapr", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "PublishEvent", Handler: f.publish}, {MethodName: "BulkPublishEventAlpha1", Handler: f.bulk}},
		Streams: []grpc.StreamDesc{{StreamName: "SubscribeTopicEventsAlpha1", Handler: f.subscribe, ServerStreams: true, ClientStreams: true}},
	}, f)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() { server.Stop(); serving.Wait() })
	target, err := Open(t.Context(), Options{Address: listener.Addr().String(), PubSub: "pubsub", Topic: "bench"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.Close() })
	return f, target
}

func TestEveryWayToPublishIsReadByDaprsDeclarationAndReceivedOnce(t *testing.T) {
	t.Parallel()
	for name, publish := range map[string]func(*Target, context.Context, *load.Feed) error{
		"unary":  func(d *Target, ctx context.Context, feed *load.Feed) error { return d.Unary(ctx, 3, feed) },
		"stream": func(d *Target, ctx context.Context, feed *load.Feed) error { return d.Stream(ctx, 2, 8, feed) },
		"batch":  func(d *Target, ctx context.Context, feed *load.Feed) error { return d.Batch(ctx, 30, feed) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 100
			f, target := start(t, "")
			feed := load.NewFeed(load.Shape{Limit: n, Size: 200})
			if err := publish(target, t.Context(), feed); err != nil {
				t.Fatal(err)
			}
			if taken, err := feed.Settled(); taken != n || err != nil {
				t.Errorf("%d messages were settled, %v", taken, err)
			}
			sink := load.NewSink(feed)
			if err := sink.Expect(n); err != nil {
				t.Fatal(err)
			}
			if err := target.Receive(t.Context(), sink); err != nil {
				t.Fatal(err)
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			if sink.Received() != n || len(f.unacked) != 0 || len(f.queue) != 0 {
				t.Errorf("%d of %d were received, %d not settled, %d left", sink.Received(), n, len(f.unacked), len(f.queue))
			}
		})
	}
}

func TestAFailedEntryOfABatchIsAnError(t *testing.T) {
	t.Parallel()
	_, target := start(t, "the broker said no")
	err := target.Batch(t.Context(), 10, load.NewFeed(load.Shape{Limit: 10}))
	if err == nil || !strings.Contains(err.Error(), "-1: the broker said no") {
		t.Errorf("the error is %v", err)
	}
}

func TestDamagedAnswersAreErrors(t *testing.T) {
	t.Parallel()
	for _, bad := range [][]byte{{0xff}, {0x0a, 5, 1}, {0x12, 2, 0x0a, 9}, {0x08}} {
		if e, _, err := subscribed(bad); err == nil {
			t.Errorf("%x is read as %+v", bad, e)
		}
	}
	if err := bulkFailure([]byte{0x0a, 2, 0x0a, 9}); err == nil {
		t.Error("a damaged failure is none")
	}
	if _, err := Open(t.Context(), Options{Address: "127.0.0.1:1"}); err == nil {
		t.Error("nobody answers, and it is open")
	}
}
