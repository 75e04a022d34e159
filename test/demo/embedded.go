package main

import (
	"context"
	"fmt"
	"net"

	"github.com/warrenmesh/warren/internal/process"
)

// startEmbedded runs control plane, sidecars and the in-process broker in one process,
// `warren dev`. The services still have their own processes.
func (d *demo) startEmbedded(ctx context.Context) error {
	args := []string{
		"dev", d.files.config(), "--namespace", "shop", "--xds-listen", d.addresses.xds,
		"--admin-listen", d.addresses.admin, "--status-listen", d.addresses.status,
	}
	for _, s := range d.services {
		_, port, err := net.SplitHostPort(d.addresses.sidecars[s.name].events)
		if err != nil {
			return fmt.Errorf("read the sidecar's address: %w", err)
		}
		args = append(args, "--workload", s.name+":"+port)
	}
	dev, err := d.control.Start(process.Spec{
		Name: "warren dev", Path: d.files.bin("warren"), Args: args,
		Env: d.environment("warren-dev"), Log: d.files.log("warren-dev"),
	})
	if err != nil {
		return err
	}
	if err := waitReady(ctx, dev, d.addresses.status); err != nil {
		return err
	}
	d.screen.say("warren dev: control plane, %d sidecars and the broker up in one process, watching %s",
		len(d.services), d.files.rel(d.files.config()))
	return nil
}
