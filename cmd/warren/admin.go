package main

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

func addAdminFlag(cmd *cobra.Command) {
	cmd.Flags().String(flagAdmin, peer.DefaultSidecarAdmin, "admin `address` of the sidecar, host:port or unix:/path; env "+peer.EnvSidecarAdmin)
}

// sidecarAdmin is a connection to a sidecar's admin address.
type sidecarAdmin struct {
	adminv1.AdminServiceClient
	conn    *grpc.ClientConn
	address string
}

// dialAdmin prepares the connection; the caller closes it.
func (a *app) dialAdmin(cmd *cobra.Command) (*sidecarAdmin, error) {
	address := a.address(cmd, flagAdmin, peer.EnvSidecarAdmin)
	conn, err := peer.Dial(address)
	if err != nil {
		return nil, usageError{err}
	}
	return &sidecarAdmin{adminv1.NewAdminServiceClient(conn), conn, address}, nil
}

func (s *sidecarAdmin) close() { _ = s.conn.Close() } // nothing is under way

// failure explains err, of a call that found a connection or did not.
func (s *sidecarAdmin) failure(op string, err error, reached bool) error {
	return &callError{Failure: peer.Explain(err, reached), op: op, what: "sidecar's admin listener", address: s.address}
}

// dump asks for the configuration dump.
func (s *sidecarAdmin) dump(ctx context.Context, timeout time.Duration) (*adminv1.GetConfigDumpResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var at grpcpeer.Peer
	resp, err := s.GetConfigDump(ctx, &adminv1.GetConfigDumpRequest{}, grpc.Peer(&at))
	if err != nil {
		return nil, s.failure("get the configuration dump", err, at.Addr != nil)
	}
	return resp, nil
}
