package boot_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/warrenmesh/warren/controlplane"
	"github.com/warrenmesh/warren/proxy"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
)

func TestReflectionIsOnOrOffOnEveryListener(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]bool{"on": false, "off": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProduct(t, membroker.Options{})
			p.startPlane(controlplane.Options{NoReflection: off})
			s := p.sidecar("checkout", "", func(o *proxy.Options) { o.NoReflection = off })
			want := codes.OK
			if off {
				want = codes.Unimplemented
			}
			for listener, address := range map[string]string{
				"event API by TCP": s.EventAddresses()[0], "event API by socket": s.EventAddresses()[1],
				"admin API": s.AdminAddress(), "mesh API": p.plane.AdminAddr(),
			} {
				if got := reflects(t, address); got != want {
					t.Errorf("%s: listing services ends with %s, want %s", listener, got, want)
				}
			}
		})
	}
}

// reflects returns the status with which a listing of services ends.
func reflects(t *testing.T, address string) codes.Code {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	info, err := reflectionv1.NewServerReflectionClient(dial(t, address)).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_ = info.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}) // Recv returns the error
	_, err = info.Recv()
	return status.Code(err)
}
