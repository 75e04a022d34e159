package main

import (
	"os"
	"strconv"
	"strings"

	"github.com/warrenmesh/warren/internal/process"
)

// service is one of the shop's programs.
type service struct {
	name string
	// subscriptions that must be open before the service counts as ready; "" means that
	// it accepts pushed events.
	subscriptions []string
	// node is set for the service that runs on Node.
	node bool
}

// shopServices lists the services of the run; the publisher comes first.
func shopServices(shipping bool) []service {
	all := []service{
		{name: "checkout"},
		{name: "billing", subscriptions: []string{""}},
	}
	if shipping {
		all = append(all, service{name: "shipping", subscriptions: []string{"shipping", "shipping-next"}, node: true})
	}
	return append(all, service{name: "audit", subscriptions: []string{"audit", "audit-next", "audit-invoices"}})
}

// spec says how to run a service beside the sidecar at an address. Checkout needs more
// flags and ends when it has placed its orders.
func (d *demo) spec(s service, sidecar string) process.Spec {
	spec := process.Spec{
		Name: s.name,
		Path: d.files.bin(s.name),
		Args: []string{"--sidecar", sidecar, "--journal", d.files.journal(s.name)},
		Env:  d.environment(s.name),
		Log:  d.files.log(s.name),
	}
	if s.node {
		spec.Path = "node"
		spec.Args = append([]string{d.files.shop("shipping", "main.js"), "--proto", d.files.root + "/api/proto"}, spec.Args...)
	}
	if s.name == "billing" {
		spec.Args = append(spec.Args, "--listen", d.addresses.push)
	}
	if s.name == "checkout" {
		spec.MayEnd = true
		spec.Args = append(spec.Args, "--run", d.runID, "--count", strconv.Itoa(d.options.orders),
			"--rate", strconv.FormatFloat(d.options.rate, 'f', -1, 64), "--open", d.files.open())
	}
	return spec
}

// sidecarSpec says how to run the sidecar beside a service.
func (d *demo) sidecarSpec(s service, at sidecarAddresses, controlPlane string) process.Spec {
	return process.Spec{
		Name: s.name + "-sidecar",
		Path: d.files.bin("sidecar"),
		Args: []string{
			"--namespace", "shop", "--workload", s.name, "--label", "app=" + s.name,
			"--control-plane", controlPlane,
			"--listen", at.events, "--admin-listen", at.admin, "--status-listen", at.status,
			"--state-dir", d.files.demo("state", s.name), "--credentials-dir", d.files.demo("credentials"),
			"--drain-timeout", "5s", "--log-format", "json",
		},
		Env: d.environment(s.name),
		Log: d.files.log(s.name + "-sidecar"),
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
