package rig

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/client"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/internal/product"
)

// Service is a sidecar and the client of the service beside it. The sidecar may die and
// be started again at the same address.
type Service struct {
	eventsv1.EventServiceClient
	*product.RunningSidecar
	Name string
}

// StartSidecar starts a workload's sidecar.
func (w *World) StartSidecar(workload string, env ...string) *Service {
	w.Helper()
	s := &Service{Name: workload}
	s.RunningSidecar = w.Mesh.StartSidecar(product.Sidecar{Namespace: w.Namespace, Workload: workload, ControlPlane: w.planeAt, Env: env})
	conn, err := grpc.NewClient(s.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(),
		// A service on the same host need not wait long before it connects to its
		// sidecar again.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.5, MaxDelay: 200 * time.Millisecond},
			MinConnectTimeout: time.Second,
		}), grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(1<<30), grpc.MaxCallRecvMsgSize(1<<30)))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = conn.Close() })
	s.EventServiceClient = client.New(conn).API() // every call and answer must be recorded, and package client would hide some
	w.mu.Lock()
	defer w.mu.Unlock()
	w.services = append(w.services, s)
	return s
}

// Restart starts a sidecar that has ended, at the same address.
func (w *World) Restart(s *Service) {
	w.Helper()
	running := w.Mesh.RestartSidecar(s.RunningSidecar)
	w.mu.Lock()
	defer w.mu.Unlock()
	s.RunningSidecar = running
	if w.restarted == nil {
		w.restarted = map[string]bool{}
	}
	w.restarted[s.Name] = true
}

// living returns the running sidecars.
func (w *World) living() []*Service {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []*Service
	for _, s := range w.services {
		if !s.Ended() {
			c := *s
			out = append(out, &c)
		}
	}
	return out
}

// samplePeriod is the time between two samples of the processes.
const samplePeriod = 250 * time.Millisecond

// startSampling samples the processes from now on.
func (w *World) startSampling() {
	ctx, cancel := context.WithCancel(w.Context())
	var sampling sync.WaitGroup
	sampling.Go(func() { w.sample(ctx) })
	w.Cleanup(func() { cancel(); sampling.Wait() })
}

// sample takes samples of every sidecar until ctx ends.
func (w *World) sample(ctx context.Context) {
	tick := time.NewTicker(samplePeriod)
	defer tick.Stop()
	for {
		w.sampleOnce(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (w *World) sampleOnce(ctx context.Context) {
	for _, s := range w.living() {
		if sample, err := look(ctx, s); err == nil { // a process that ends gives no sample
			w.Recorder.Sample(sample)
		}
	}
}

// look measures one sidecar.
func look(ctx context.Context, s *Service) (history.Sample, error) {
	pid := s.PID()
	rss, anon, err := memory(pid)
	if err != nil {
		return history.Sample{}, err
	}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return history.Sample{}, err
	}
	goroutines, err := s.goroutines(ctx)
	return history.Sample{Process: s.Name, RSS: rss, Anon: anon, FDs: len(fds), Goroutines: goroutines}, err
}

// memory reads a process's resident bytes: all, and those that do not belong to files.
func memory(pid int) (rss, anon uint64, err error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		kilobytes, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch name {
		case "VmRSS":
			rss = kilobytes << 10
		case "RssAnon":
			anon = kilobytes << 10
		}
	}
	if rss == 0 {
		return 0, 0, errors.New("a process without memory is dead")
	}
	return rss, anon, nil
}

// goroutines asks the sidecar how many it has.
func (s *Service) goroutines(ctx context.Context) (int, error) {
	res, err := s.Get(ctx, "/memory")
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	var info struct {
		Goroutines int `json:"goroutines"`
	}
	return info.Goroutines, json.NewDecoder(res.Body).Decode(&info)
}

// Get requests an admin page. It closes the connection, which would otherwise count as
// a descriptor.
func (s *Service) Get(ctx context.Context, path string) (*http.Response, error) {
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(s.Admin, "unix:"))
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://admin"+path, nil)
	if err != nil {
		return nil, err
	}
	return client.Do(req)
}
