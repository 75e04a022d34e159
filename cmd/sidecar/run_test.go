package main

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
)

// endsAt ends a command when it writes a text.
type endsAt struct {
	text string
	end  context.CancelFunc
	all  strings.Builder
}

// Write implements io.Writer.
func (e *endsAt) Write(p []byte) (int, error) {
	if strings.Contains(string(p), e.text) {
		e.end()
	}
	return e.all.Write(p)
}

// A sidecar that never finds a control plane starts all the same, and its end is no
// failure: a pod is stopped whenever it is.
func TestTheSidecarRunsUntilItIsToldToEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	log := &endsAt{text: "sidecar started", end: cancel}
	cmd := newCommand()
	cmd.SetErr(log)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs([]string{
		"--namespace=shop", "--workload=billing", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--status-listen=",
		"--control-plane=unix:" + filepath.Join(t.TempDir(), "none"), "--log-format=text",
	})
	if err := cmd.ExecuteContext(ctx); err != nil {
		t.Errorf("it ended with %v", err)
	}
	for _, want := range []string{"component=sidecar", "sidecar started", "sidecar stopped", "clean=true"} {
		if !strings.Contains(log.all.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log.all.String())
		}
	}
}

func TestSidecarsOfOneWorkloadAreToldApart(t *testing.T) {
	t.Parallel()
	s := settings{Workload: "billing", Namespace: "shop", DrainTimeout: 1}
	seen := map[string]bool{}
	for range 5 {
		o, err := s.options()
		if err != nil {
			t.Fatal(err)
		}
		if seen[o.Node.ID] || !strings.HasPrefix(o.Node.ID, "billing.shop~") {
			t.Errorf("id %q, before it %v", o.Node.ID, seen)
		}
		seen[o.Node.ID] = true
		if len(o.Node.Labels) != 1 || o.Node.Labels["app"] != "billing" {
			t.Errorf("labels %v, want the workload's", o.Node.Labels)
		}
	}
}

func TestSettingsReachTheSidecar(t *testing.T) {
	t.Parallel()
	s := settings{
		Namespace: "shop", Workload: "billing", Labels: []string{"app=b", "note=a=b", "canary="}, Topics: []string{"orders", "billing/invoices"},
		DrainTimeout: 7, MaxInFlight: 1, MaxBytes: 2, MaxStreams: 3, MaxConnections: 4, NoReflection: true, AdminQuit: true, AdminProfiles: true,
		Zone: "eu", StateDir: "/state", CredentialsDir: "/credentials", Listen: []string{"unix:/x"}, StatusListen: "s", AdminListen: "a", ControlPlane: "c",
	}
	o, err := s.options()
	if err != nil {
		t.Fatal(err)
	}
	if l := o.Node.Labels; len(l) != 3 || l["app"] != "b" || l["note"] != "a=b" || l["canary"] != "" {
		t.Errorf("labels %v", l)
	}
	if len(o.Topics) != 2 || o.Topics[0].String() != "shop/orders" || o.Topics[1].String() != "billing/invoices" {
		t.Errorf("topics %v", o.Topics)
	}
	if o.MaxInFlight != 1 || o.MaxInFlightBytes != 2 || o.MaxStreams != 3 || o.MaxConnections != 4 || o.DrainTimeout != 7 {
		t.Errorf("bounds of %+v", o)
	}
	if !o.NoReflection || !o.AdminQuit || !o.AdminProfiles {
		t.Errorf("switches of %+v", o)
	}
	if o.Zone != "eu" || o.StateDir != "/state" || o.CredentialsDir != "/credentials" || o.ControlPlane != "c" || o.StatusListen != "s" || o.AdminListen != "a" || o.Listen[0] != "unix:/x" {
		t.Errorf("addresses and directories of %+v", o)
	}
}
