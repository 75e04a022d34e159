package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/internal/product"
)

func TestAnEventGoesFromServiceToService(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start(r.topic("orders"), r.subscription(subscription{name: "billing", topic: "orders", app: "billing"}))
	checkout, billing := r.service("checkout"), r.service("billing")
	for name, target := range map[string]struct{ publisher, subscriber string }{
		"over TCP":           {checkout.TCP, billing.TCP},
		"over a unix socket": {checkout.Socket, billing.Socket},
	} {
		checkout.EventServiceClient = eventsv1.NewEventServiceClient(checkout.Dial(target.publisher))
		billing.EventServiceClient = eventsv1.NewEventServiceClient(billing.Dial(target.subscriber))
		in := billing.subscribe("billing")
		sent := order(name)
		sent.Attributes["subject"] = text("customer-7")
		answer, err := checkout.publish("orders", sent)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if answer.GetEventId() != name || answer.GetTopic() != r.namespace+"/orders" || answer.GetAttempts() != 1 {
			t.Errorf("%s: answered %v", name, answer)
		}
		got := in.next()
		if !proto.Equal(got.GetEvent(), sent) {
			t.Errorf("%s: received %v, want %v", name, got.GetEvent(), sent)
		}
		// The redelivered flag is not compared: the broker sets it when the stream
		// before this one received the message while it closed.
		if got.GetAttempt() != 1 || got.GetTopic() != r.namespace+"/orders" {
			t.Errorf("%s: delivered as %v", name, got)
		}
		in.ack(got)
		in.close()
	}
}

func TestASidecarIsHealthyAndDescribesItsAPI(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start(r.topic("orders"), r.subscription(subscription{name: "billing", topic: "orders", app: "billing"}))
	billing := r.service("billing")
	conn := billing.Dial(billing.TCP)
	for _, name := range []string{"", "warren.events.v1.EventService"} {
		product.Eventually(t, "health of "+name, func() error { // health follows readiness after a moment
			answer, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{Service: name})
			if err == nil && answer.GetStatus() != healthv1.HealthCheckResponse_SERVING {
				err = fmt.Errorf("it is %v", answer.GetStatus())
			}
			return err
		})
	}
	if services := reflected(t, conn); !slices.Contains(services, "warren.events.v1.EventService") {
		t.Errorf("reflection lists %v", services)
	}
	if methods := reflectedMethods(t, conn); !slices.Equal(methods, []string{"Publish", "PublishBatch", "PublishStream", "Subscribe"}) {
		t.Errorf("reflection describes EventService with %v", methods)
	}
	callWithGRPCurl(t, r, billing.TCP)
}

// callWithGRPCurl calls the event API with grpcurl, as a user's first call would. `make
// grpcurl` installs it.
func callWithGRPCurl(t *testing.T, r *rig, target string) {
	t.Helper()
	installed, err := filepath.Glob(filepath.Join(programs.Root(), ".tools", "grpcurl-*"))
	if err != nil || len(installed) == 0 {
		t.Log("not called with grpcurl, which is not installed")
		return
	}
	out, err := exec.CommandContext(t.Context(), installed[0], "-plaintext", "-d", //nolint:gosec // a pinned tool
		`{"topic": "orders", "event": {"id": "1", "source": "/me", "spec_version": "1.0", "type": "t", "text_data": "hi"}}`,
		target, "warren.events.v1.EventService/Publish").CombinedOutput()
	if err != nil || !strings.Contains(string(out), fmt.Sprintf(`"topic": "%s/orders"`, r.namespace)) {
		t.Errorf("grpcurl: %v\n%s", err, out)
	}
}

func reflect(t *testing.T, conn *grpc.ClientConn, request *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
	t.Helper()
	stream, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err == nil {
		err = stream.Send(request)
	}
	if err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// reflected lists the services that reflection returns.
func reflected(t *testing.T, conn *grpc.ClientConn) []string {
	t.Helper()
	var names []string
	request := &reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}
	for _, s := range reflect(t, conn, request).GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	return names
}

// reflectedMethods lists the methods of EventService, sorted.
func reflectedMethods(t *testing.T, conn *grpc.ClientConn) []string {
	t.Helper()
	request := &reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{
		FileContainingSymbol: "warren.events.v1.EventService",
	}}
	var methods []string
	for _, raw := range reflect(t, conn, request).GetFileDescriptorResponse().GetFileDescriptorProto() {
		file := &descriptorpb.FileDescriptorProto{}
		if err := proto.Unmarshal(raw, file); err != nil {
			t.Fatal(err)
		}
		for _, s := range file.GetService() {
			if s.GetName() != "EventService" {
				continue
			}
			for _, m := range s.GetMethod() {
				methods = append(methods, m.GetName())
			}
		}
	}
	slices.Sort(methods)
	return methods
}
