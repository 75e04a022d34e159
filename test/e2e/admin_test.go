package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	reasons "github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/test/internal/product"
)

// operated is a mesh of two workloads with a canary, for the operator's commands.
func operated(t *testing.T) (r *rig, plane *product.Process, checkout, billing *service) {
	t.Helper()
	r = newRig(t)
	plane = r.start(r.topic("orders"), r.topic("orders-next"), canary(r, 0),
		r.subscription(subscription{name: "billing", topic: "orders", app: "billing", attempts: 2}))
	return r, plane, r.service("checkout"), r.service("billing")
}

func canary(r *rig, next int) string {
	return fmt.Sprintf(`apiVersion: warrenmesh.io/v1alpha1
kind: EventRoute
metadata: {name: canary, namespace: %s}
spec:
  parentRefs: [{kind: EventTopic, name: orders}]
  rules:
  - name: all
    filters: [{prefix: {type: com.shop.}}]
    backendRefs:
    - {kind: EventTopic, name: orders, weight: %d}
    - {kind: EventTopic, name: orders-next, weight: %d}
---
`, r.namespace, 100-next, next)
}

// warren runs the command against a sidecar's admin address. It must exit with 0.
func (s *service) warren(args ...string) string {
	s.rig.Helper()
	out, errs, code := s.rig.mesh.Warren(s.rig.Context(), append(args, "--admin", s.Admin)...)
	if code != 0 {
		s.rig.Errorf("warren %s: exit %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// admin calls one of the HTTP paths.
func (s *service) admin(method, path string) (code int, body string) {
	s.rig.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", strings.TrimPrefix(s.Admin, "unix:"))
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(s.rig.Context(), method, "http://sidecar"+path, nil)
	if err != nil {
		s.rig.Fatal(err)
	}
	resp, err := (&http.Client{Transport: transport, Timeout: callTime}).Do(req)
	if err != nil {
		s.rig.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		s.rig.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, string(raw)
}

func (s *service) info() *adminv1.GetServerInfoResponse {
	s.rig.Helper()
	_, body := s.admin("GET", "/server_info")
	info := &adminv1.GetServerInfoResponse{}
	if err := protojson.Unmarshal([]byte(body), info); err != nil {
		s.rig.Fatalf("/server_info: %v\n%s", err, body)
	}
	return info
}

func TestAdminAPIAndCommandsShowWhatASidecarRunsOn(t *testing.T) {
	t.Parallel()
	r, plane, checkout, billing := operated(t)
	checkout.mustPublish("orders", "1") // a sidecar requests a topic at its first use

	_, password := credentials(t, r.mesh.Broker.URL)
	for _, s := range []*service{checkout, billing} {
		out := s.warren("config", "dump", "-o", "json")
		dump := &adminv1.GetConfigDumpResponse{}
		if err := protojson.Unmarshal([]byte(out), dump); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if len(dump.GetBrokers()) != 1 || len(dump.GetBrokers()[0].GetNodes()) != 1 {
			t.Fatalf("brokers: %v", dump.GetBrokers())
		}
		node := dump.GetBrokers()[0].GetNodes()[0]
		if !node.GetPublishing() || !node.GetConsuming() || !strings.Contains(node.GetServer(), "RabbitMQ") {
			t.Errorf("the broker's node: %v", node)
		}
		if c := dump.GetControlPlane(); !c.GetConnected() || c.GetLastContact() == nil || dump.GetVersion() == "" || dump.GetFromDisk() {
			t.Errorf("where it comes from: %v, version %q, from disk %t", c, dump.GetVersion(), dump.GetFromDisk())
		}
		for _, resource := range dump.GetResources() {
			if resource.GetState() != "ACKED" || resource.GetVersion() == "" {
				t.Errorf("resource %v", resource)
			}
		}
		if strings.Contains(out, `"`+password+`"`) || dump.GetBrokers()[0].GetCredentials() == "" {
			t.Errorf("the dump shows a secret or no name of one:\n%s", out)
		}
	}
	table := checkout.warren("config", "dump", "-o", "wide")
	for _, want := range []string{"canary/all", r.namespace + "/orders-next", `prefix(type, "com.shop.")`, "RabbitMQ", "ACKED"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table lacks %q:\n%s", want, table)
		}
	}
	if table = billing.warren("config", "dump"); !strings.Contains(table, r.name("billing")) {
		t.Errorf("the subscription's queue is not in the table:\n%s", table)
	}

	out, errs, code := r.mesh.Warren(t.Context(), "status", "billing", "--control-plane", r.mesh.Admin())
	if code != 0 || !strings.Contains(out, "is SYNCED") || !strings.Contains(out, "Subscription  "+r.namespace+"/billing") || strings.Contains(out, "checkout") {
		t.Errorf("warren status billing: exit %d\n%s%s", code, out, errs)
	}

	plane.Signal(syscall.SIGTERM)
	plane.AwaitExit(callTime)
	product.Eventually(t, "the dump tells that the control plane is away", func() error {
		_, body := checkout.admin("GET", "/config_dump")
		var dump struct {
			ControlPlane struct {
				Connected bool   `json:"connected"`
				LastError string `json:"lastError"`
			} `json:"controlPlane"`
		}
		if err := json.Unmarshal([]byte(body), &dump); err != nil {
			t.Fatal(err)
		}
		if dump.ControlPlane.Connected || dump.ControlPlane.LastError == "" {
			return fmt.Errorf("%+v", dump)
		}
		return nil
	})
}

func credentials(t *testing.T, broker string) (username, password string) {
	t.Helper()
	u, err := url.Parse(broker)
	if err != nil {
		t.Fatal(err)
	}
	password, _ = u.User.Password()
	return u.User.Username(), password
}

func TestAdminAPIAndCommandsTailLiveEvents(t *testing.T) {
	t.Parallel()
	_, _, checkout, billing := operated(t)
	tails := map[*service]string{checkout: "", billing: ""}
	var watching sync.WaitGroup
	var mu sync.Mutex // guards tails
	watch := func(s *service, name, count string) {
		watching.Go(func() {
			out := s.warren("tail", name, "-o", "wide", "--payload", "--count", count)
			mu.Lock()
			defer mu.Unlock()
			tails[s] = out
		})
		product.Eventually(t, "the tap is open", func() error {
			if n := s.info().GetTaps(); n != 1 {
				return fmt.Errorf("%d taps", n)
			}
			return nil
		})
	}
	watch(checkout, "orders", "1")
	watch(billing, "billing", "3")
	in := billing.subscribe("billing")
	checkout.mustPublish("orders", "17")
	in.settle(in.next(), eventsv1.Outcome_OUTCOME_DEAD_LETTER, "no such customer")
	checkout.mustPublish("orders", "18")
	in.next()
	watching.Wait()
	for s, wants := range map[*service][]string{
		checkout: {"published to", "17", "canary/all", `{"id":"17"}`},
		billing:  {"delivered to", "settled dead-letter by", "rejected: no such customer", "18"},
	} {
		for _, want := range wants {
			if !strings.Contains(tails[s], want) {
				t.Errorf("%q is not in what was tailed:\n%s", want, tails[s])
			}
		}
	}
	product.Eventually(t, "taps end with their readers", func() error {
		if n := checkout.info().GetTaps() + billing.info().GetTaps(); n != 0 {
			return fmt.Errorf("%d taps", n)
		}
		return nil
	})
}

func TestAdminAPIAndCommandsDrainAndSteer(t *testing.T) {
	t.Parallel()
	r, _, checkout, billing := operated(t)

	if code, body := billing.admin("POST", "/logging?level=debug"); code != http.StatusOK || billing.info().GetLogLevel() != "debug" {
		t.Errorf("change the log's level: %d %s", code, body)
	}
	r.mesh.Write("more.yaml", r.subscription(subscription{name: "billing-too", topic: "orders", app: "billing"}))
	product.Eventually(t, "the new level takes effect", func() error {
		if !billing.Logged(func(rec product.Record) bool { return rec.Text("level") == "DEBUG" }) {
			return fmt.Errorf("no record of level DEBUG")
		}
		return nil
	})
	if code, body := billing.admin("GET", "/drain"); code != http.StatusBadRequest {
		t.Errorf("GET /drain: %d %s", code, body)
	}
	billing.admin("POST", "/healthcheck/fail")
	if err := billing.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "operator") {
		t.Errorf("a failed health check: %v", err)
	}
	billing.admin("POST", "/healthcheck/ok")
	billing.AwaitReady()

	in := billing.subscribe("billing")
	checkout.mustPublish("orders", "held")
	held := in.next()
	var draining sync.WaitGroup
	draining.Go(func() { billing.warren("drain", "--phase=delivery") })
	product.Eventually(t, "the drain has begun", func() error {
		if phase := billing.info().GetDrained(); phase != adminv1.DrainPhase_DRAIN_PHASE_DELIVERY {
			return fmt.Errorf("drained: %s", phase)
		}
		return nil
	})
	in.ack(held) // a service may still settle its deliveries
	draining.Wait()
	billing.warren("drain") // draining twice does no harm
	if _, err := billing.open(&eventsv1.SubscribeInit{Subscription: "billing", InitialCredit: 1}); rpcerr.Reason(err) != reasons.Draining {
		t.Errorf("subscribe to a drained sidecar: %v", err)
	}
	billing.mustPublish("orders", "the last word")
	checkout.mustPublish("orders", "waits")

	billing.warren("drain", "--phase=all", "--timeout=5s")
	if _, err := billing.publish("orders", order("late")); rpcerr.Reason(err) != reasons.Draining {
		t.Errorf("publish through a drained sidecar: %v", err)
	}
	if code, body := billing.admin("POST", "/quitquitquit"); code != http.StatusOK {
		t.Errorf("quit: %d %s", code, body)
	}
	if code := billing.AwaitExit(callTime); code != 0 {
		t.Errorf("exit code %d after /quitquitquit", code)
	}
	billing.Signal(syscall.SIGTERM) // it has ended already; this tells the rig that the end is right

	// Events that were not delivered are still in the queue for another sidecar.
	next := r.service("billing")
	again := next.subscribe("billing")
	for got := map[string]bool{}; len(got) < 2; {
		d := again.next()
		got[d.GetEvent().GetId()] = true
		again.ack(d)
		if d.GetEvent().GetId() == "held" {
			t.Error("a settled delivery came again")
		}
	}
}
