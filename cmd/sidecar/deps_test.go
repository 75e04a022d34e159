package main

import (
	"os/exec"
	"strings"
	"testing"
)

// Kubernetes' libraries would double the sidecar's memory and binary; it never
// talks to an API server. Nor does it need what tests do to a broker.
func TestTheSidecarDependsOnNoKubernetesLibraryAndNoFault(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	if len(deps) < 100 {
		t.Fatalf("only %d dependencies listed", len(deps))
	}
	for _, dep := range deps {
		if strings.HasPrefix(dep, "k8s.io/") || strings.HasPrefix(dep, "sigs.k8s.io/") || strings.Contains(dep, "warren/api/v1alpha1") ||
			strings.HasSuffix(dep, "/membroker/faulty") || strings.Contains(dep, "/internal/brokertest") || strings.Contains(dep, "/internal/queueingtest") {
			t.Errorf("depends on %s", dep)
		}
	}
}
