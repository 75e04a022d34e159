package metrics

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const (
	dashboardFile = "../../manifests/monitoring/dashboard.json"
	rulesFile     = "../../manifests/monitoring/rules.yaml"
	page          = "../../docs/metrics.md"
)

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// exported returns the names that a mesh exports, with their labels. It adds the labels
// that only nodes on a network have, because the broker here is in the process.
func exported(t *testing.T) map[string]map[string]bool {
	t.Helper()
	m := newMesh(t)
	m.day()
	m.eventually("every histogram is there", func() error { return missing(m.scrapeAll().names(), "rpc_client_call_duration_seconds_count") })
	names := m.scrapeAll().names()
	for _, name := range []string{"warren_broker_connections", "messaging_client_operation_duration_seconds_bucket"} {
		names[name]["server_address"], names[name]["server_port"] = true, true
	}
	return names
}

type missingError string

func (e missingError) Error() string { return "no " + string(e) }

func missing(names map[string]map[string]bool, name string) error {
	if names[name] == nil {
		return missingError(name)
	}
	return nil
}

// dashboard is the part of Grafana's model that the tests check.
type dashboard struct {
	UID         string `json:"uid"`
	Annotations struct {
		List []struct {
			Expr string `json:"expr"`
		} `json:"list"`
	} `json:"annotations"`
	Templating struct {
		List []struct {
			Name  string          `json:"name"`
			Type  string          `json:"type"`
			Query json.RawMessage `json:"query"`
		} `json:"list"`
	} `json:"templating"`
	Panels []panel `json:"panels"`
}

type panel struct {
	Type       string                   `json:"type"`
	Title      string                   `json:"title"`
	Datasource struct{ UID string }     `json:"datasource"`
	GridPos    struct{ H, W, X, Y int } `json:"gridPos"`
	Targets    []struct {
		Datasource struct{ UID string } `json:"datasource"`
		Expr       string               `json:"expr"`
		Exemplar   bool                 `json:"exemplar"`
	} `json:"targets"`
	FieldConfig struct {
		Overrides []struct {
			Matcher    struct{ Options string } `json:"matcher"`
			Properties json.RawMessage          `json:"properties"`
		} `json:"overrides"`
	} `json:"fieldConfig"`
}

func TestMetricsOfTheDashboardExist(t *testing.T) {
	t.Parallel()
	var d dashboard
	if err := json.Unmarshal(readFile(t, dashboardFile), &d); err != nil {
		t.Fatal(err)
	}
	if d.UID != "warren-mesh" {
		t.Errorf("uid %q has changed: existing links would break", d.UID)
	}
	names := exported(t)
	expect := func(where, expr string) {
		t.Helper()
		q, err := ask(expr)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			return
		}
		if wrong := q.check(names); len(wrong) > 0 {
			t.Errorf("%s uses what Warren does not export: %s", where, strings.Join(wrong, ", "))
		}
	}
	variables := map[string]string{}
	labelValues := regexp.MustCompile(`label_values\((\w+), (\w+)\)`)
	for _, v := range d.Templating.List {
		variables[v.Name] = v.Type
		if v.Type != "query" {
			continue
		}
		m := labelValues.FindStringSubmatch(string(v.Query))
		if m == nil {
			t.Errorf("variable %s asks %s", v.Name, v.Query)
			continue
		}
		if wrong := (query{metrics: m[1:2], labels: m[2:3]}).check(names); len(wrong) > 0 {
			t.Errorf("variable %s uses what Warren does not export: %v", v.Name, wrong)
		}
	}
	if variables["datasource"] != "datasource" || variables["jaeger"] != "datasource" {
		t.Errorf("variables %v: data sources must be chosen by the reader", variables)
	}
	for _, a := range d.Annotations.List {
		expect("annotation", a.Expr)
	}
	for i := range d.Panels {
		p := &d.Panels[i]
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 {
			t.Errorf("panel %q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			if p.Datasource.UID != "${datasource}" || target.Datasource.UID != "${datasource}" {
				t.Errorf("panel %q names a data source of its own", p.Title)
			}
			expect("panel "+p.Title, target.Expr)
			if target.Exemplar && !p.leadsToJaeger() {
				t.Errorf("panel %q has exemplars without a link to a trace", p.Title)
			}
		}
	}
}

// leadsToJaeger reports whether the panel's trace ids are links to the Jaeger that the
// user has selected.
func (p *panel) leadsToJaeger() bool {
	for _, o := range p.FieldConfig.Overrides {
		if o.Matcher.Options == "trace_id" && strings.Contains(string(o.Properties), "${jaeger}") {
			return true
		}
	}
	return false
}

func TestTheDashboardShowsExemplarsAndItsPanelsDoNotOverlap(t *testing.T) {
	t.Parallel()
	var d dashboard
	if err := json.Unmarshal(readFile(t, dashboardFile), &d); err != nil {
		t.Fatal(err)
	}
	exemplars := 0
	taken := map[[2]int]string{}
	for i := range d.Panels {
		p := &d.Panels[i]
		if p.leadsToJaeger() {
			exemplars++
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("panel %q lies over %q or the edge", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
	if exemplars < 3 {
		t.Errorf("%d panels lead to traces, want those of publishes, deliveries and calls", exemplars)
	}
}

func TestMetricsOfTheAlertsExist(t *testing.T) {
	t.Parallel()
	var rules struct {
		Spec struct {
			Groups []struct {
				Rules []struct {
					Alert       string            `json:"alert"`
					Expr        string            `json:"expr"`
					Labels      map[string]string `json:"labels"`
					Annotations map[string]string `json:"annotations"`
				} `json:"rules"`
			} `json:"groups"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(readFile(t, rulesFile), &rules); err != nil {
		t.Fatal(err)
	}
	names := exported(t)
	documented := string(readFile(t, page))
	inText := regexp.MustCompile(`\$labels\.(\w+)`)
	alerts := 0
	for _, group := range rules.Spec.Groups {
		for _, r := range group.Rules {
			alerts++
			q, err := ask(r.Expr)
			if err != nil {
				t.Errorf("%s: %v", r.Alert, err)
				continue
			}
			for _, m := range inText.FindAllStringSubmatch(r.Annotations["summary"], -1) {
				q.labels = append(q.labels, m[1])
			}
			if wrong := q.check(names); len(wrong) > 0 {
				t.Errorf("%s uses what Warren does not export: %s", r.Alert, strings.Join(wrong, ", "))
			}
			anchor := "https://github.com/warrenmesh/warren/blob/main/docs/metrics.md#" + strings.ToLower(r.Alert)
			if r.Annotations["runbook_url"] != anchor || !strings.Contains(documented, "\n### "+r.Alert+"\n") {
				t.Errorf("%s has the runbook %q; want a section of docs/metrics.md", r.Alert, r.Annotations["runbook_url"])
			}
			if s := r.Labels["severity"]; s != "critical" && s != "warning" {
				t.Errorf("%s has the severity %q", r.Alert, s)
			}
		}
	}
	if sections := strings.Count(documented, "\n### Warren"); sections != alerts {
		t.Errorf("docs/metrics.md has sections of %d alerts, there are %d", sections, alerts)
	}
}

func TestMetricsAreDocumentedAsTheyAre(t *testing.T) {
	t.Parallel()
	kinds := map[string]string{}
	row := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (counter|gauge|histogram) \\|")
	for _, m := range row.FindAllStringSubmatch(string(readFile(t, page)), -1) {
		kinds[m[1]] = m[2]
	}
	m := newMesh(t)
	m.day()
	m.eventually("every histogram is there", func() error { return missing(m.scrapeAll().names(), "rpc_client_call_duration_seconds_count") })
	seen := map[string]bool{}
	ours := []string{"warren_", "messaging_", "rpc_"}
	for _, s := range m.scrapeAll() {
		if !slices.ContainsFunc(ours, func(prefix string) bool { return strings.HasPrefix(s.name, prefix) }) {
			continue
		}
		name := s.name
		if s.kind == "histogram" {
			name = regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		}
		if !seen[name] && kinds[name] != s.kind {
			t.Errorf("%s is a %s; docs/metrics.md says %q", name, s.kind, kinds[name])
		}
		seen[name] = true
	}
	for name := range kinds {
		if !seen[name] {
			t.Errorf("docs/metrics.md describes %s, which Warren does not export", name)
		}
	}
}
