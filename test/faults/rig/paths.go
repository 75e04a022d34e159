package rig

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/warrenmesh/warren/test/faults/history"
)

// countPaths records which paths the events of each sidecar took. A sidecar that was
// started again has forgotten those of before.
func (w *World) countPaths() {
	w.Helper()
	for _, s := range w.living() {
		p, err := s.paths(w.Context())
		if err != nil {
			w.Logf("the paths of %s: %v", s.Name, err)
			continue
		}
		w.mu.Lock()
		p.Restarted = w.restarted[s.Name]
		w.mu.Unlock()
		w.Recorder.Paths(p)
	}
}

// paths asks the sidecar for its metric of paths.
func (s *Service) paths(ctx context.Context) (history.Paths, error) {
	res, err := s.Get(ctx, "/stats/prometheus")
	if err != nil {
		return history.Paths{}, err
	}
	defer func() { _ = res.Body.Close() }()
	p, err := readPaths(res.Body)
	p.Process = s.Name
	return p, err
}

// readPaths reads Prometheus's text.
func readPaths(in io.Reader) (p history.Paths, err error) {
	series := 0
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		labels, value, ok := strings.Cut(lines.Text(), "} ")
		if !ok || !strings.HasPrefix(labels, "warren_path_messages_total{") {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return p, fmt.Errorf("the metric %q: %w", lines.Text(), err)
		}
		has := func(label string) bool { return strings.Contains(labels, label) }
		var of *history.Ways
		switch {
		case has(`warren_path_step="try"`):
			of = &p.Publish
		case has(`warren_path_step="settle"`):
			of = &p.Delivery
		default:
			continue
		}
		series++
		if has(`warren_path_kind="fast"`) {
			of.Fast += int(n)
		} else {
			of.Slow += int(n)
		}
	}
	if series != 4 && lines.Err() == nil {
		return p, fmt.Errorf("%d series of warren_path_messages_total, want 4", series)
	}
	return p, lines.Err()
}
