package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/internal/process"
	"github.com/warrenmesh/warren/test/demo/shop"
)

// startTimeout bounds how long one program may take to become ready.
const startTimeout = 60 * time.Second

// sidecarAddresses are where one sidecar listens.
type sidecarAddresses struct{ events, admin, status string }

// meshAddresses are the addresses of the control plane, of each sidecar, and of the
// service that is pushed to.
type meshAddresses struct {
	xds, admin, status string // the control plane
	push               string // billing
	sidecars           map[string]sidecarAddresses
}

// pickAddresses finds a free port for each.
func pickAddresses(ctx context.Context, services []shop.Service) (meshAddresses, error) {
	ports, err := process.FreePorts(ctx, 4+3*len(services))
	if err != nil {
		return meshAddresses{}, err
	}
	m := meshAddresses{xds: ports[0], admin: ports[1], status: ports[2], push: ports[3], sidecars: make(map[string]sidecarAddresses)}
	for i, s := range services {
		at := ports[4+3*i:]
		m.sidecars[s.Name] = sidecarAddresses{events: at[0], admin: at[1], status: at[2]}
	}
	return m, nil
}

// startMesh starts the control plane and one sidecar beside each service, each a
// process of its own.
func (d *demo) startMesh(ctx context.Context) error {
	control, err := d.control.Start(process.Spec{
		Name: "controlplane",
		Path: d.files.Bin("controlplane"),
		Args: []string{
			"--config-dir", d.files.Config(), "--listen", d.addresses.xds, "--admin-listen", d.addresses.admin,
			"--status-listen", d.addresses.status, "--log-format", "json",
		},
		Env: d.environment("warren-controlplane"),
		Log: d.files.Log("controlplane"),
	})
	if err != nil {
		return err
	}
	if err := waitReady(ctx, control, d.addresses.status); err != nil {
		return err
	}
	d.screen.say("control plane: it listens on %s and watches %s", d.addresses.xds, d.files.Rel(d.files.Config()))
	var starting errgroup.Group
	for _, s := range d.services {
		at := d.addresses.sidecars[s.Name]
		p, err := d.sidecars.Start(d.sidecarSpec(s, at, d.addresses.xds))
		if err != nil {
			return errors.Join(err, starting.Wait())
		}
		starting.Go(func() error { return waitReady(ctx, p, at.status) })
	}
	if err := starting.Wait(); err != nil {
		return err
	}
	d.screen.say("sidecars: %d run, each connected to the control plane and to the broker", len(d.services))
	return nil
}

// waitReady waits until a daemon is ready. When it ends before or takes too long, the
// error shows the end of its log.
func waitReady(ctx context.Context, p *process.Process, statusAddress string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("not ready within %v", startTimeout))
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	said := "no answer"
	for {
		ready, text := askReady(ctx, statusAddress)
		if ready {
			return nil
		}
		if text != "" {
			said = text
		}
		select {
		case <-tick.C:
		case <-p.Done():
			return p.Failure()
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w; /readyz: %s; the end of its log:\n%s", p.Name(), context.Cause(ctx), said, p.Tail(15))
		}
	}
}

// probes keeps no connections, because a daemon that stops would wait for them.
var probes = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func askReady(ctx context.Context, address string) (ready bool, said string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return false, err.Error()
	}
	resp, err := probes.Do(req)
	if err != nil {
		return false, ""
	}
	defer func() { _ = resp.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	return resp.StatusCode == http.StatusOK, string(text)
}

// meshStatus asks the control plane for the state of the mesh.
func (d *demo) meshStatus(ctx context.Context) (*adminv1.GetStatusResponse, error) {
	if d.mesh == nil {
		conn, err := grpc.NewClient(d.addresses.admin, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return nil, err
		}
		d.meshConn, d.mesh = conn, adminv1.NewMeshServiceClient(conn)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	status, err := d.mesh.GetStatus(ctx, &adminv1.GetStatusRequest{})
	if err != nil {
		return nil, fmt.Errorf("ask the control plane for its status: %w", err)
	}
	return status, nil
}

// startEmbedded runs control plane, sidecars and the in-process broker in one process,
// `warren dev`. The services still have their own processes.
func (d *demo) startEmbedded(ctx context.Context) error {
	args := []string{
		"dev", d.files.Config(), "--namespace", "shop", "--xds-listen", d.addresses.xds,
		"--admin-listen", d.addresses.admin, "--status-listen", d.addresses.status,
	}
	for _, s := range d.services {
		_, port, err := net.SplitHostPort(d.addresses.sidecars[s.Name].events)
		if err != nil {
			return fmt.Errorf("read the sidecar's address: %w", err)
		}
		args = append(args, "--workload", s.Name+":"+port)
	}
	dev, err := d.control.Start(process.Spec{
		Name: "warren dev", Path: d.files.Bin("warren"), Args: args,
		Env: d.environment("warren-dev"), Log: d.files.Log("warren-dev"),
	})
	if err != nil {
		return err
	}
	if err := waitReady(ctx, dev, d.addresses.status); err != nil {
		return err
	}
	d.screen.say("warren dev: one process runs the control plane, %d sidecars and the broker, and watches %s",
		len(d.services), d.files.Rel(d.files.Config()))
	return nil
}
