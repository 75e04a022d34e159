package mesh

import (
	"context"
	"fmt"
	"time"
)

// Hold opens a stream of the subscription, which gets nothing, and keeps it until close is
// called.
func (m *Mesh) Hold(ctx context.Context) (release context.CancelFunc, err error) {
	ctx, release = context.WithCancel(ctx)
	if _, err := m.subscribe(ctx, credit); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// StopControlPlane ends the control plane: sidecars that start from then on have the last
// good configuration alone.
func (m *Mesh) StopControlPlane() { m.control.Stop(grace) }

// Restart ends the sidecar beside the subscriber and starts it again. It returns how long
// that took from just before exec to the first positive answer of /readyz, which is asked
// for every millisecond.
func (m *Mesh) Restart(ctx context.Context) (took time.Duration, err error) {
	s := m.sub
	s.process.Stop(grace)
	began := time.Now()
	p, err := m.programs.Start(s.spec)
	if err != nil {
		return 0, fmt.Errorf("restart %s: %w", s.spec.Name, err)
	}
	s.process = p
	if err := awaitReady(ctx, p, s.status, time.Millisecond); err != nil {
		return 0, err
	}
	return time.Since(began), nil
}
