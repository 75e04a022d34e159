package faults

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

	"github.com/warrenmesh/warren/test/faults/history"
)

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
func look(ctx context.Context, s *service) (history.Sample, error) {
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
	return history.Sample{Process: s.name, RSS: rss, Anon: anon, FDs: len(fds), Goroutines: goroutines}, err
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
func (s *service) goroutines(ctx context.Context) (int, error) {
	res, err := s.get(ctx, "/memory")
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	var info struct {
		Goroutines int `json:"goroutines"`
	}
	return info.Goroutines, json.NewDecoder(res.Body).Decode(&info)
}

// get requests an admin page. It closes the connection, which would otherwise count as
// a descriptor.
func (s *service) get(ctx context.Context, path string) (*http.Response, error) {
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(s.Admin, "unix:"))
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://admin"+path, nil)
	if err != nil {
		return nil, err
	}
	return client.Do(req)
}
