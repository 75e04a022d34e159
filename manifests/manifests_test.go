package manifests_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// document is one YAML document of a manifest.
type document struct {
	file string
	text []byte
	meta metav1.TypeMeta
}

func documents(t *testing.T) []document {
	t.Helper()
	var out []document
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, part := range bytes.Split(text, []byte("\n---\n")) {
			doc := document{file: path, text: part}
			if err := yaml.Unmarshal(part, &doc.meta); err != nil {
				return err
			}
			out = append(out, doc)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// kustomization is the part of kustomize's kind that the manifests use.
type kustomization struct {
	metav1.TypeMeta    `json:",inline"`
	Namespace          string   `json:"namespace"`
	Resources          []string `json:"resources"`
	ConfigMapGenerator []struct {
		Name    string   `json:"name"`
		Files   []string `json:"files"`
		Options struct {
			Labels map[string]string `json:"labels"`
		} `json:"options"`
	} `json:"configMapGenerator"`
	GeneratorOptions struct {
		DisableNameSuffixHash bool `json:"disableNameSuffixHash"`
	} `json:"generatorOptions"`
}

// monitor is the part of the Prometheus operator's PodMonitor and ServiceMonitor that
// the manifests use.
type monitor struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		NamespaceSelector struct {
			Any bool `json:"any"`
		} `json:"namespaceSelector"`
		Selector            metav1.LabelSelector `json:"selector"`
		PodMetricsEndpoints []endpoint           `json:"podMetricsEndpoints"`
		Endpoints           []endpoint           `json:"endpoints"`
	} `json:"spec"`
}

type endpoint struct {
	Port     string `json:"port"`
	Path     string `json:"path"`
	Interval string `json:"interval"`
}

// prometheusRule is the part of the operator's kind that the manifests use.
// test/metrics checks the expressions.
type prometheusRule struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Groups []struct {
			Name  string `json:"name"`
			Rules []struct {
				Alert       string            `json:"alert"`
				Expr        string            `json:"expr"`
				For         string            `json:"for"`
				Labels      map[string]string `json:"labels"`
				Annotations map[string]string `json:"annotations"`
			} `json:"rules"`
		} `json:"groups"`
	} `json:"spec"`
}

func newObject(kind string) any {
	switch kind {
	case "Namespace":
		return &corev1.Namespace{}
	case "ServiceAccount":
		return &corev1.ServiceAccount{}
	case "Service":
		return &corev1.Service{}
	case "Secret":
		return &corev1.Secret{}
	case "Pod":
		return &corev1.Pod{}
	case "Deployment":
		return &appsv1.Deployment{}
	case "PodDisruptionBudget":
		return &policyv1.PodDisruptionBudget{}
	case "NetworkPolicy":
		return &networkingv1.NetworkPolicy{}
	case "Kustomization":
		return &kustomization{}
	case "PodMonitor", "ServiceMonitor":
		return &monitor{}
	case "PrometheusRule":
		return &prometheusRule{}
	default:
		return nil
	}
}

func TestEveryManifestIsStrictlyValid(t *testing.T) {
	t.Parallel()
	docs := documents(t)
	if len(docs) < 8 {
		t.Fatalf("only %d documents found", len(docs))
	}
	for _, doc := range docs {
		object := newObject(doc.meta.Kind)
		if object == nil {
			t.Errorf("%s: kind %q is not known to this test", doc.file, doc.meta.Kind)
			continue
		}
		if err := yaml.UnmarshalStrict(doc.text, object); err != nil {
			t.Errorf("%s: %s: %v", doc.file, doc.meta.Kind, err)
		}
	}
}

func TestKustomizationListsEveryFile(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"base", "monitoring"} {
		t.Run(dir, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join(dir, "kustomization.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			var k kustomization
			if err := yaml.UnmarshalStrict(text, &k); err != nil {
				t.Fatal(err)
			}
			listed := []string{"kustomization.yaml"}
			for _, g := range k.ConfigMapGenerator {
				listed = append(listed, g.Files...)
			}
			listed = append(listed, k.Resources...)
			files, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				if !slices.Contains(listed, f.Name()) {
					t.Errorf("%s/kustomization.yaml does not list %s", dir, f.Name())
				}
			}
			for _, name := range listed {
				if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
					t.Errorf("%s/kustomization.yaml lists %s: %v", dir, name, err)
				}
			}
		})
	}
}

func TestPrometheusFindsThePortsAndMayReachThem(t *testing.T) {
	t.Parallel()
	podMonitors := decode[monitor](t, "PodMonitor")
	if len(podMonitors) == 0 {
		t.Error("no pod monitor")
	}
	for _, m := range podMonitors {
		for _, e := range m.Spec.PodMetricsEndpoints {
			for _, p := range decode[corev1.Pod](t, "Pod") {
				for _, c := range p.Spec.InitContainers {
					if !slices.ContainsFunc(c.Ports, func(port corev1.ContainerPort) bool { return port.Name == e.Port }) {
						t.Errorf("sidecar of pod %s has no port %s", p.Name, e.Port)
					}
				}
			}
		}
	}
	monitors, services := decode[monitor](t, "ServiceMonitor"), decode[corev1.Service](t, "Service")
	if len(monitors) != 1 || len(services) != 1 {
		t.Fatalf("%d service monitors and %d services, want one of each", len(monitors), len(services))
	}
	m, s := monitors[0], services[0]
	for key, value := range m.Spec.Selector.MatchLabels {
		if s.Labels[key] != value {
			t.Errorf("the service monitor wants %s=%s, the service has %q", key, value, s.Labels[key])
		}
	}
	for _, e := range m.Spec.Endpoints {
		i := slices.IndexFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == e.Port })
		if i < 0 {
			t.Errorf("the service has no port %s", e.Port)
			continue
		}
		open := slices.ContainsFunc(decode[networkingv1.NetworkPolicy](t, "NetworkPolicy"), func(n networkingv1.NetworkPolicy) bool {
			return slices.ContainsFunc(n.Spec.Ingress, func(r networkingv1.NetworkPolicyIngressRule) bool {
				return slices.ContainsFunc(r.Ports, func(p networkingv1.NetworkPolicyPort) bool { return p.Port.IntValue() == int(s.Spec.Ports[i].Port) })
			})
		})
		if !open {
			t.Errorf("no network policy allows access to port %d", s.Spec.Ports[i].Port)
		}
	}
}

func decode[T any](t *testing.T, kind string) []T {
	t.Helper()
	var out []T
	for _, doc := range documents(t) {
		if doc.meta.Kind != kind {
			continue
		}
		var v T
		if err := yaml.UnmarshalStrict(doc.text, &v); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

func TestPodsAreRestrictedAndStayClearOfMeshUsers(t *testing.T) {
	t.Parallel()
	var specs []corev1.PodSpec
	for _, p := range decode[corev1.Pod](t, "Pod") {
		specs = append(specs, p.Spec)
	}
	for _, d := range decode[appsv1.Deployment](t, "Deployment") {
		specs = append(specs, d.Spec.Template.Spec)
	}
	if len(specs) == 0 {
		t.Fatal("no pods")
	}
	for _, spec := range specs {
		sc := spec.SecurityContext
		if sc == nil || sc.RunAsNonRoot == nil || !*sc.RunAsNonRoot || sc.SeccompProfile == nil || sc.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("pod security context %+v is not restricted", sc)
		}
		// Istio and Linkerd do not redirect the traffic of these users.
		if sc != nil && sc.RunAsUser != nil && (*sc.RunAsUser == 1337 || *sc.RunAsUser == 2102) {
			t.Errorf("user %d belongs to a mesh proxy", *sc.RunAsUser)
		}
		for _, c := range append(slices.Clone(spec.InitContainers), spec.Containers...) {
			checkContainer(t, c)
		}
	}
}

func checkContainer(t *testing.T, c corev1.Container) {
	t.Helper()
	sc := c.SecurityContext
	if sc == nil || sc.AllowPrivilegeEscalation == nil || *sc.AllowPrivilegeEscalation ||
		sc.ReadOnlyRootFilesystem == nil || !*sc.ReadOnlyRootFilesystem ||
		sc.Capabilities == nil || !slices.Contains(sc.Capabilities.Drop, "ALL") {
		t.Errorf("container %s is not restricted", c.Name)
	}
	if c.Resources.Limits.Memory().IsZero() || !c.Resources.Limits.Cpu().IsZero() {
		t.Errorf("container %s: want a memory limit and no CPU limit", c.Name)
	}
}

func TestTheSidecarIsANativeSidecarWithHTTPProbesOffLoopback(t *testing.T) {
	t.Parallel()
	pods := decode[corev1.Pod](t, "Pod")
	if len(pods) != 1 {
		t.Fatalf("%d pods, want 1", len(pods))
	}
	for _, c := range pods[0].Spec.InitContainers {
		if c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways {
			t.Errorf("%s is no native sidecar", c.Name)
		}
		for name, p := range map[string]*corev1.Probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
			if p == nil || p.HTTPGet == nil {
				t.Errorf("%s probe is not httpGet", name)
				continue
			}
			want := map[string]string{"startup": "/startupz", "liveness": "/livez", "readiness": "/readyz"}[name]
			if p.HTTPGet.Path != want {
				t.Errorf("%s probe asks %s, want %s", name, p.HTTPGet.Path, want)
			}
		}
		if slices.ContainsFunc(c.Args, func(a string) bool { return strings.HasPrefix(a, "--ready-requires-broker") }) {
			t.Error("a broker that is down takes the pod out of its Services")
		}
		if !slices.ContainsFunc(c.Args, func(a string) bool { return strings.HasPrefix(a, "--status-listen=0.0.0.0:") }) {
			t.Error("probes come from the node, but the status port listens on loopback")
		}
	}
}
