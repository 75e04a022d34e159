package controlplane

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/xds"
)

// scrape returns the lines of /metrics without the labels of scopes.
func scrape(t *testing.T, cp *ControlPlane) []string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+cp.StatusAddr()+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET /metrics: %s, %v", resp.Status, err)
	}
	scope := `otel_scope_name="github.com/warrenmesh/warren",otel_scope_schema_url="",otel_scope_version=""`
	text := strings.NewReplacer(","+scope, "", scope+",", "", "{"+scope+"}", "").Replace(string(body))
	return strings.Split(text, "\n")
}

func TestMetricsShowTheMesh(t *testing.T) {
	t.Parallel()
	provider, err := tracing.Setup(t.Context(), tracing.Options{Component: "controlplane", Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	dir := shopDir(t)
	cp := launch(t, dir, func(o *Options) { o.Tracing = provider })
	wait(t, "ready", cp.Ready())
	connect(t, cp, "billing").readAll("billing")
	refusing := connect(t, cp, "audit")
	refusing.nack(refusing.subscribe(xds.TypeRoute, "topic/shop/orders"), "no")
	edit(t, dir, map[string]string{"routes.yaml": routeYAML(0, 0)})

	want := []string{
		`warren_controlplane_ready 1`,
		`warren_controlplane_sidecars{warren_sidecar_state="SYNCED"} 1`,
		`warren_controlplane_sidecars{warren_sidecar_state="NACK"} 1`,
		`warren_controlplane_sidecars{warren_sidecar_state="STALE"} 0`,
		`warren_controlplane_sidecars{warren_sidecar_state="NOT_SENT"} 0`,
		`warren_controlplane_resources{warren_xds_type="Listener"} 4`,
		`warren_controlplane_resources{warren_xds_type="RouteConfiguration"} 2`,
		`warren_controlplane_resources{warren_xds_type="Cluster"} 1`,
		`warren_controlplane_pushes_total{warren_xds_type="RouteConfiguration"} 2`,
		`warren_controlplane_pushes_total{warren_xds_type="Listener"} 2`,
		`warren_controlplane_acks_total{warren_xds_type="Listener"} 2`,
		`warren_controlplane_acks_total{warren_xds_type="RouteConfiguration"} 1`,
		`warren_controlplane_nacks_total{warren_xds_type="RouteConfiguration"} 1`,
		`warren_controlplane_nacks_total{warren_xds_type="Listener"} 0`,
		`warren_controlplane_config_problems 1`,
		`warren_controlplane_config_reloads_total{warren_reload_result="applied"} 1`,
		`warren_controlplane_config_reloads_total{warren_reload_result="refused"} 1`,
		`warren_controlplane_objects{warren_object_condition="Accepted",warren_object_kind="EventRoute",warren_object_status="False"} 1`,
		`warren_controlplane_objects{warren_object_condition="Accepted",warren_object_kind="EventSubscription",warren_object_status="True"} 2`,
	}
	var missing []string
	t.Cleanup(func() {
		if len(missing) > 0 {
			t.Logf("missing: %s", strings.Join(missing, "\n"))
		}
	})
	eventually(t, "the metrics show what was done", func() bool {
		missing = nil
		got := map[string]bool{}
		for _, line := range scrape(t, cp) {
			got[line] = true
		}
		for _, line := range want {
			if !got[line] {
				missing = append(missing, line)
			}
		}
		return len(missing) == 0
	})
	text := strings.Join(scrape(t, cp), "\n")
	for _, part := range []string{"warren_controlplane_config_info{warren_mesh_version=", "warren_controlplane_config_age_seconds ", `component="controlplane"`} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in:\n%s", part, text)
		}
	}
}
