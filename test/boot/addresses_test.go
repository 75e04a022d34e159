package boot_test

import (
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
)

func TestTheControlPlaneKnowsWhereASidecarListens(t *testing.T) {
	t.Parallel()
	p := start(t)
	s := p.sidecar("checkout", "")
	mesh := adminv1.NewMeshServiceClient(dial(t, p.plane.AdminAddr()))
	eventually(t, "the control plane tells the addresses", func() error {
		state, err := mesh.GetStatus(t.Context(), &adminv1.GetStatusRequest{})
		if err != nil {
			return err
		}
		for _, known := range state.GetSidecars() {
			if known.GetWorkload() == "checkout" {
				if fmt.Sprint(known.GetListen()) != fmt.Sprint(s.EventAddresses()) || known.GetAdmin() != s.AdminAddress() {
					t.Errorf("listens on %v and %q, want %v and %q", known.GetListen(), known.GetAdmin(), s.EventAddresses(), s.AdminAddress())
				}
				return nil
			}
		}
		return fmt.Errorf("%v: no checkout", codes.NotFound)
	})
}
