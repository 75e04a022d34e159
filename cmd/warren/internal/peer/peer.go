// Package peer connects the command to a sidecar or a control plane and explains
// to people what went wrong there.
//
// It owns addresses, dialling and the wording of gRPC errors; which calls are made
// is the commands' business. Everything is safe for concurrent use.
//
//	conn, err := peer.Dial("127.0.0.1:17400")
//	...
//	f := peer.Explain(err, reached)
//	fmt.Fprintln(os.Stderr, f.Message, f.Hint)
package peer

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Default addresses (DESIGN §7.7) and the variables that replace them.
const (
	DefaultSidecar      = "127.0.0.1:17400"
	DefaultSidecarAdmin = "127.0.0.1:17410"
	DefaultControlPlane = "127.0.0.1:17440"

	EnvSidecar      = "WARREN_SIDECAR"
	EnvSidecarAdmin = "WARREN_SIDECAR_ADMIN"
	EnvControlPlane = "WARREN_CONTROL_PLANE_ADMIN"
)

// maxMessage holds the largest event, 16 MiB, and its attributes.
const maxMessage = 17 << 20

// Dial prepares a connection; the first call connects. The address is host:port,
// unix:/path or unix-abstract:name. Both peers listen on loopback or a socket, so
// there is no TLS and no HTTP proxy.
func Dial(address string) (*grpc.ClientConn, error) {
	if err := check(address); err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithNoProxy(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithUserAgent("warren-cli"),
	)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", address, err)
	}
	return conn, nil
}

func check(address string) error {
	ok := false
	if path, socket := strings.CutPrefix(address, "unix:"); socket {
		ok = strings.Trim(path, "/") != ""
	} else if name, socket := strings.CutPrefix(address, "unix-abstract:"); socket {
		ok = name != ""
	} else if _, port, err := net.SplitHostPort(address); err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
		ok = err == nil
	}
	if !ok {
		return fmt.Errorf("address %q: want host:port or unix:/path", address)
	}
	return nil
}
