package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	grpcpeer "google.golang.org/grpc/peer"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/peer"
)

// flagAdmin names the admin address of a sidecar.
const flagAdmin = "admin"

// AddAdminFlag adds --admin, the admin address of a sidecar, and --workload.
func (a *App) AddAdminFlag(cmd *cobra.Command) {
	cmd.Flags().String(flagAdmin, peer.DefaultSidecarAdmin, "admin `address` of the sidecar, host:port or unix:/path; env "+peer.EnvSidecarAdmin)
	a.addWorkloadFlag(cmd)
}

// Admin is a connection to a sidecar's admin address.
type Admin struct {
	adminv1.AdminServiceClient
	conn    *grpc.ClientConn
	Address string
}

// DialAdmin prepares the connection; the caller closes it.
func (a *App) DialAdmin(cmd *cobra.Command) (*Admin, error) {
	address, err := a.AdminAddress(cmd)
	if err != nil {
		return nil, err
	}
	conn, err := peer.Dial(address)
	if err != nil {
		return nil, Usage(err)
	}
	return &Admin{adminv1.NewAdminServiceClient(conn), conn, address}, nil
}

// Close ends the connection; nothing may be under way.
func (s *Admin) Close() { _ = s.conn.Close() } // nothing is under way

// Failure explains err, of a call that found a connection or did not.
func (s *Admin) Failure(op string, err error, reached bool) error {
	return &CallError{Failure: peer.Explain(err, reached), Op: op, What: "sidecar's admin listener", Address: s.Address}
}

// Dump asks for the configuration dump.
func (s *Admin) Dump(ctx context.Context, timeout time.Duration) (*adminv1.GetConfigDumpResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var at grpcpeer.Peer
	resp, err := s.GetConfigDump(ctx, &adminv1.GetConfigDumpRequest{}, grpc.Peer(&at))
	if err != nil {
		return nil, s.Failure("get the configuration dump", err, at.Addr != nil)
	}
	return resp, nil
}

// FetchStatus asks the control plane at address for its state; namespace "" means all.
func FetchStatus(ctx context.Context, address, namespace string, timeout time.Duration) (*adminv1.GetStatusResponse, error) {
	conn, err := peer.Dial(address)
	if err != nil {
		return nil, Usage(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var at grpcpeer.Peer
	resp, err := adminv1.NewMeshServiceClient(conn).GetStatus(ctx,
		&adminv1.GetStatusRequest{Namespace: namespace}, grpc.Peer(&at))
	if err != nil {
		return nil, &CallError{
			Failure: peer.Explain(err, at.Addr != nil), Op: "get status", What: "control plane", Address: address,
		}
	}
	return resp, nil
}
