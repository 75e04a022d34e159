package dev

import (
	"strings"
	"testing"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli/clitest"
	"github.com/warrenmesh/warren/cmd/warren/internal/dev/devmesh"
	"github.com/warrenmesh/warren/controlplane/declare"
)

func subscribed(namespace, name string, labels map[string]string) *v1alpha1.EventSubscription {
	return &v1alpha1.EventSubscription{
		ObjectMeta: v1alpha1.ObjectMeta{Name: name, Namespace: namespace},
		Spec:       v1alpha1.EventSubscriptionSpec{Selector: v1alpha1.LabelSelector{MatchLabels: labels}},
	}
}

func TestThePlanChoosesWorkloadsThatReceiveSomething(t *testing.T) {
	t.Parallel()
	app := func(name string) map[string]string { return map[string]string{"app": name} }
	p := plan{namespaces: []string{"shop"}, subscriptions: []*v1alpha1.EventSubscription{
		subscribed("shop", "billing", app("billing")), subscribed("shop", "ledger", app("billing")), subscribed("eu", "x", app("elsewhere")),
		subscribed("shop", "gold", map[string]string{"tier": "gold"}), subscribed("shop", "audit", app("audit")),
	}}
	list, err := p.workloads(nil, "", firstPort)
	if err != nil || len(list) != 2 || list[0].Name != "billing" || list[1].Name != "audit" || list[0].Namespace != "shop" {
		t.Errorf("workloads %+v, %v", list, err)
	}
	if list[0].Listen != "127.0.0.1:17400" || list[1].Listen != "127.0.0.1:17500" || list[1].Admin != "127.0.0.1:17510" {
		t.Errorf("addresses of %+v", list)
	}
	for namespace, want := range map[string]string{"eu": "elsewhere", "nobodys": "dev"} {
		if list, err := p.workloads(nil, namespace, firstPort); err != nil || len(list) != 1 || list[0].Name != want || list[0].Namespace != namespace {
			t.Errorf("of %s: %+v, %v; want %s", namespace, list, err, want)
		}
	}
	p.namespaces = []string{"eu", "shop"} // which of them is meant is not known
	if list, err := p.workloads([]string{"a"}, "", firstPort); err != nil || list[0].Namespace != "default" {
		t.Errorf("of several namespaces: %+v, %v", list, err)
	}
	for w, want := range map[string]string{"billing": "billing", "audit": "audit", "nobody": ""} {
		if got := p.receives(devmesh.Workload{Namespace: "shop", Name: w, Labels: app(w)}); got != want {
			t.Errorf("%s receives %q, want %q", w, got, want)
		}
	}
}

func TestATopicIsWrittenAsItsWorkloadsWriteIt(t *testing.T) {
	t.Parallel()
	topic := func(namespace, name string) declare.Object {
		return declare.Object{Value: &v1alpha1.EventTopic{ObjectMeta: v1alpha1.ObjectMeta{Name: name, Namespace: namespace}}}
	}
	p := readPlan(declare.Set{Objects: []declare.Object{topic("eu", "a"), topic("shop", "b"), topic("shop", "c")}})
	for namespace, want := range map[string]string{"shop": "b", "eu": "a", "other": "eu/a"} {
		if got := p.topicFor(namespace); got != want {
			t.Errorf("in %s it is %q, want %q", namespace, got, want)
		}
	}
	if got := readPlan(declare.Set{}).topicFor("shop"); got != "" {
		t.Errorf("without topics it is %q", got)
	}
	if strings.Join(p.namespaces, " ") != "eu shop" {
		t.Errorf("namespaces %q", p.namespaces)
	}
}

func TestPortsOfOperatorsAreTenAbove(t *testing.T) {
	t.Parallel()
	for port, want := range map[int]int{0: 0, 1: 11, 17400: 17410, 65525: 65535, 65526: 0, 65535: 0} {
		if got := adminPort(port); got != want {
			t.Errorf("above %d it is %d, want %d", port, got, want)
		}
	}
}

func TestDevRefusesWhatItCannotRun(t *testing.T) {
	t.Parallel()
	good := clitest.ConfigDir(t, map[string]string{"broker.yaml": clitest.BrokerYAML, "flow.yaml": clitest.FlowYAML})
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"a directory that is not there": {[]string{"/does/not/exist"}, "no such file or directory"},
		"a file for a directory":        {[]string{"plan.go"}, "plan.go is no directory"},
		"a workload without a name":     {[]string{good, "--workload", ":17400"}, "want name[:port]"},
		"a port that is none":           {[]string{good, "--workload", "a:http"}, `port "http": want 0 to 65535`},
		"a port below 0":                {[]string{good, "--workload", "a:-1"}, `port "-1": want 0 to 65535`},
		"a label that is none":          {[]string{good, "--workload", "a,=x"}, `label "=x": want label=value`},
		"two of one name":               {[]string{good, "--workload", "a", "--workload", "a:1,app=b"}, "there are two of that name"},
		"a broker that is none":         {[]string{good, "--broker", "rabbitmq"}, `--broker "rabbitmq": want`},
		"a log level that is none":      {[]string{good, "--log-level", "loud"}, "want debug, info, warn or error"},
		"a format that is none":         {[]string{good, "-o", "wide"}, `--output "wide": want`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if r := warren.Run(t, append([]string{"dev"}, test.args...)...); r.Code != cli.ExitUsage || !strings.Contains(r.Err, test.says) || r.Out != "" {
				t.Errorf("%+v, want exit code 2 with %q", r, test.says)
			}
		})
	}
}
