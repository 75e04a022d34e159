package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/controlplane"
	xds "github.com/warrenmesh/warren/xds/server"
)

// server is a process that serves, as the bench sees it.
type server struct {
	address string

	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner
}

// usage is what a server uses.
type usage struct {
	Heap, Stack int // bytes; after a collection
	CPU         time.Duration
	Reporting   int // sidecars that report, where that was asked
}

func (u usage) memory() int { return u.Heap + u.Stack }

// above is the memory that each of n takes, when without them it was that of empty.
func (u usage) above(empty usage, n int) usage {
	return usage{Heap: (u.Heap - empty.Heap) / n, Stack: (u.Stack - empty.Stack) / n}
}

// startServer starts a control plane for a directory; for "" a server that only
// receives.
func startServer(ctx context.Context, dir string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &server{cmd: exec.CommandContext(ctx, self, "serve", dir)}
	s.cmd.Stderr = os.Stderr
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	s.lines = bufio.NewScanner(out)
	if !s.lines.Scan() {
		s.stop()
		return nil, errors.New("the control plane did not start")
	}
	s.address = s.lines.Text()
	return s, nil
}

// stop ends the process and waits for it.
func (s *server) stop() {
	_ = s.stdin.Close()
	_ = s.cmd.Wait()
}

// ask has the server do a command and returns what it uses.
func (s *server) ask(command string) (u usage, err error) {
	if _, err := fmt.Fprintln(s.stdin, command); err != nil {
		return u, err
	}
	if !s.lines.Scan() {
		return u, errors.New("the control plane has ended")
	}
	return u, json.Unmarshal(s.lines.Bytes(), &u)
}

// serve is the other process. It serves until its input ends.
func serve(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	run, address, reporting, err := newControlPlane(ctx, strings.Join(args, ""))
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- run() }()
	where, err := address()
	if err == nil {
		fmt.Fprintln(stdout, where)
		err = obey(stdin, stdout, reporting)
	}
	cancel()
	return errors.Join(err, <-done)
}

// newControlPlane returns what serves until ctx ends, what waits until it does, and what
// counts the sidecars that report.
func newControlPlane(ctx context.Context, dir string) (run func() error, address func() (string, error), reporting func() (int, error), err error) {
	if dir == "" {
		run, address, err = newTransport(ctx)
		return run, address, func() (int, error) { return 0, nil }, err
	}
	c, err := controlplane.New(controlplane.Options{
		Dir: dir, XDSListen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", StatusListen: "127.0.0.1:0",
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Limits: xds.Limits{Streams: -1, StreamsPerPeer: -1, NamesPerPeer: -1, FirstRequest: time.Minute},
	})
	if err != nil {
		return nil, nil, nil, err
	}
	return func() error { return c.Run(ctx) }, func() (string, error) {
		select {
		case <-c.Ready():
			return c.XDSAddr(), nil
		case <-time.After(time.Minute):
			return "", errors.New("the configuration did not come into force within a minute")
		}
	}, func() (int, error) { return countReporting(ctx, c.AdminAddr()) }, nil
}

// countReporting asks the mesh API.
func countReporting(ctx context.Context, address string) (n int, err error) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<30)))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	status, err := adminv1.NewMeshServiceClient(conn).GetStatus(ctx, &adminv1.GetStatusRequest{})
	for _, s := range status.GetSidecars() {
		if s.GetReports() == "REPORTING" {
			n++
		}
	}
	return n, err
}

// newTransport returns a server with the control plane's transport that keeps nothing.
func newTransport(ctx context.Context) (run func() error, address func() (string, error), err error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	g := grpc.NewServer(xds.ServerOptions()...)
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, receiver{})
	stop := context.AfterFunc(ctx, g.Stop)
	return func() error {
		defer stop()
		return g.Serve(l)
	}, func() (string, error) { return l.Addr().String(), nil }, nil
}

// receiver answers every request with an empty response.
type receiver struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
}

// DeltaAggregatedResources implements the discovery service.
func (receiver) DeltaAggregatedResources(g discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	for {
		req, err := g.Recv()
		if err != nil {
			return nil //nolint:nilerr // the other end has closed
		}
		if req.GetResponseNonce() != "" {
			continue
		}
		if err := g.Send(&discoveryv3.DeltaDiscoveryResponse{TypeUrl: req.GetTypeUrl(), Nonce: "1"}); err != nil {
			return err
		}
	}
}

// obey does the commands that come on stdin, one a line.
func obey(stdin io.Reader, stdout io.Writer, reporting func() (int, error)) error {
	lines := bufio.NewScanner(stdin)
	for lines.Scan() {
		command, file, _ := strings.Cut(lines.Text(), " ")
		var u usage
		switch command {
		case "memory":
			u = memory()
		case "reporting":
			var err error
			if u.Reporting, err = reporting(); err != nil {
				return err
			}
		case "profile":
			f, err := os.Create(file)
			if err != nil {
				return err
			}
			defer func() { _ = f.Close() }()
			if err := pprof.StartCPUProfile(f); err != nil {
				return err
			}
			defer pprof.StopCPUProfile()
		}
		u.CPU = cpu()
		if err := json.NewEncoder(stdout).Encode(u); err != nil {
			return err
		}
	}
	return lines.Err()
}

// memory collects garbage until stacks have shrunk, which a collection does by half.
func memory() usage {
	for range 4 {
		runtime.GC()
	}
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{Heap: int(m.HeapAlloc), Stack: int(m.StackInuse)} //nolint:gosec // far below 2^63
}

func cpu() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
