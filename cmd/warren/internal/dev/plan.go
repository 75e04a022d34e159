package dev

import (
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/dev/devmesh"
	"github.com/warrenmesh/warren/controlplane/declare"
)

// plan is what warren dev reads out of the declared objects to choose workloads
// and to say what can be tried.
type plan struct {
	namespaces    []string // distinct, sorted
	topics        []*v1alpha1.EventTopic
	subscriptions []*v1alpha1.EventSubscription
}

func readPlan(set declare.Set) plan {
	var p plan
	for i := range set.Objects {
		p.namespaces = append(p.namespaces, set.Objects[i].Name().Namespace)
		switch o := set.Objects[i].Value.(type) {
		case *v1alpha1.EventTopic:
			p.topics = append(p.topics, o)
		case *v1alpha1.EventSubscription:
			p.subscriptions = append(p.subscriptions, o)
		}
	}
	slices.Sort(p.namespaces)
	p.namespaces = slices.Compact(p.namespaces)
	return p
}

// firstPort is that of the first workload, unless one is asked for.
const firstPort = 17400

// workloads reads the --workload flags, or makes one for each app that a
// subscription selects. Ports count from first.
func (p plan) workloads(flags []string, namespace string, first int) ([]devmesh.Workload, error) {
	if namespace == "" {
		namespace = "default"
		if len(p.namespaces) == 1 {
			namespace = p.namespaces[0]
		}
	}
	if len(flags) == 0 {
		flags = p.apps(namespace)
	}
	var list []devmesh.Workload
	for i, text := range flags {
		w, err := parseWorkload(text, first+100*i)
		if err != nil {
			return nil, err
		}
		w.Namespace = namespace
		if slices.ContainsFunc(list, func(o devmesh.Workload) bool { return o.Name == w.Name }) {
			return nil, cli.Usagef("--workload %q: there are two of that name", text)
		}
		list = append(list, w)
	}
	for i := range list {
		taken := slices.ContainsFunc(list, func(o devmesh.Workload) bool { return o.Listen == list[i].Admin })
		if taken { // one that was asked for wins
			list[i].Admin = loopback(0)
		}
	}
	return list, nil
}

// apps lists the values of the label app that subscriptions select, in the order
// of their declaration.
func (p plan) apps(namespace string) []string {
	var apps []string
	for _, s := range p.subscriptions {
		app := s.Spec.Selector.MatchLabels["app"]
		if s.Namespace == namespace && app != "" && !slices.Contains(apps, app) {
			apps = append(apps, app)
		}
	}
	if len(apps) == 0 {
		return []string{"dev"}
	}
	return apps
}

// parseWorkload reads name[:port][,label=value...].
func parseWorkload(text string, port int) (devmesh.Workload, error) {
	head, rest, labelled := strings.Cut(text, ",")
	name, portText, hasPort := strings.Cut(head, ":")
	if name == "" {
		return devmesh.Workload{}, cli.Usagef("--workload %q: want name[:port][,label=value...]", text)
	}
	if hasPort {
		n, err := strconv.ParseUint(portText, 10, 16)
		if err != nil {
			return devmesh.Workload{}, cli.Usagef("--workload %q: port %q: want 0 to 65535", text, portText)
		}
		port = int(n)
	}
	w := devmesh.Workload{
		Name: name, Listen: loopback(port), Admin: loopback(adminPort(port)), Labels: map[string]string{"app": name},
	}
	if !labelled {
		return w, nil
	}
	w.Labels = map[string]string{}
	for pair := range strings.SplitSeq(rest, ",") {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return devmesh.Workload{}, cli.Usagef("--workload %q: label %q: want label=value", text, pair)
		}
		w.Labels[key] = value
	}
	return w, nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// adminPort is where operators find the sidecar whose events are on port: 10 above,
// as 17410 is above 17400.
func adminPort(port int) int {
	if port == 0 || port+10 > math.MaxUint16 {
		return 0
	}
	return port + 10
}

// receives returns the first subscription that a workload is given, "" when there
// is none.
func (p plan) receives(w devmesh.Workload) string {
	for _, s := range p.subscriptions {
		matches, err := v1alpha1.SelectorMatches(s.Spec.Selector)
		if err == nil && s.Namespace == w.Namespace && matches(w.Labels) {
			return s.Name
		}
	}
	return ""
}

// topicFor returns a topic as workloads of a namespace write it.
func (p plan) topicFor(namespace string) string {
	for _, t := range p.topics {
		if t.Namespace == namespace {
			return t.Name
		}
	}
	for _, t := range p.topics {
		return fmt.Sprintf("%s/%s", t.Namespace, t.Name)
	}
	return ""
}
