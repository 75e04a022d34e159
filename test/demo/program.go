package main

import (
	"os"
	"strconv"
	"strings"

	"github.com/warrenmesh/warren/internal/process"
	"github.com/warrenmesh/warren/test/demo/shop"
)

// spec says how to run a service beside the sidecar at an address.
func (d *demo) spec(s shop.Service, sidecar string) process.Spec {
	spec := process.Spec{
		Name: s.Name,
		Path: d.files.Bin(s.Name),
		Args: []string{"--sidecar", sidecar, "--journal", d.files.Journal(s.Name)},
		Env:  d.environment(s.Name),
		Log:  d.files.Log(s.Name),
	}
	if s.Node {
		spec.Path = "node"
		spec.Args = append([]string{d.files.Source("shipping", "main.js"), "--proto", d.files.Root + "/api/proto"}, spec.Args...)
	}
	if s.Name == "billing" {
		spec.Args = append(spec.Args, "--listen", d.addresses.push)
	}
	return spec
}

// checkout says how to run checkout: it places count orders, and more for as long as the
// shop is open.
func (d *demo) checkout(run, journal string, count int, rate float64) process.Spec {
	spec := d.spec(d.services[0], d.addresses.sidecars["checkout"].events)
	spec.MayEnd = true
	spec.Args = append(spec.Args, "--journal", journal, "--run", run, "--count", strconv.Itoa(count),
		"--rate", strconv.FormatFloat(rate, 'f', -1, 64), "--open", d.files.OpenMark())
	return spec
}

// sidecarSpec says how to run the sidecar beside a service.
func (d *demo) sidecarSpec(s shop.Service, at sidecarAddresses, controlPlane string) process.Spec {
	return process.Spec{
		Name: s.Name + "-sidecar",
		Path: d.files.Bin("sidecar"),
		Args: []string{
			"--namespace", "shop", "--workload", s.Name, "--label", "app=" + s.Name,
			"--control-plane", controlPlane,
			"--listen", at.events, "--admin-listen", at.admin, "--status-listen", at.status,
			"--state-dir", d.files.Demo("state", s.Name), "--credentials-dir", d.files.Demo("credentials"),
			"--drain-timeout", "5s", "--log-format", "json", "--ready-requires-broker",
		},
		Env: d.environment(s.Name),
		Log: d.files.Log(s.Name + "-sidecar"),
	}
}

// environment of a program: this process's environment, without the variables that
// configure Warren or OpenTelemetry, and with the address for spans. The spans of a
// sidecar have the name of the service beside it.
func (d *demo) environment(serviceName string) []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "OTEL_") && !strings.HasPrefix(kv, "WARREN_") {
			env = append(env, kv)
		}
	}
	return append(env,
		"OTEL_SERVICE_NAME="+serviceName,
		"OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://"+d.traces.otlp,
		"OTEL_BSP_SCHEDULE_DELAY=500",   // milliseconds; the demo is short
		"OTEL_BSP_MAX_QUEUE_SIZE=16384", // spans; the demo publishes fast
	)
}
