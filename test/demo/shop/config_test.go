package shop

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/warrenmesh/warren/controlplane"
)

// declared is a copy of the shop's configuration. When broker is set, its file replaces
// the broker's.
func declared(t *testing.T, broker string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../../examples/shop/config")); err != nil {
		t.Fatal(err)
	}
	if broker != "" {
		write(t, filepath.Join(dir, BrokerFile), broker)
	}
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTheShopsConfigurationIsValidOnEveryBroker(t *testing.T) {
	t.Parallel()
	found, err := SetBroker(shopFile(t, "config", BrokerFile), "127.0.0.1:24321", "a vhost")
	if err != nil {
		t.Fatal(err)
	}
	for name, broker := range map[string]string{
		"as it stands": "", "a broker that was found": found, "the broker in the process": shopFile(t, "memory", BrokerFile),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			summary, problems := controlplane.Check(declared(t, broker))
			if len(problems) > 0 {
				t.Errorf("problems: %v", problems)
			}
			if summary.Objects["EventSubscription"] != 7 || summary.Objects["EventTopic"] != 3 {
				t.Errorf("objects are %v, want 7 subscriptions of 3 topics", summary.Objects)
			}
		})
	}
}

func TestTheCanaryEditIsAcceptedAndTheBrokenOneIsNot(t *testing.T) {
	t.Parallel()
	dir := declared(t, "")
	half, err := SetWeights(shopFile(t, "config", RouteFile), 50, 50)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, RouteFile), half)
	if _, problems := controlplane.Check(dir); len(problems) > 0 {
		t.Errorf("the canary edit has problems: %v", problems)
	}
	broken, line, err := Misspell(half)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, RouteFile), broken)
	_, problems := controlplane.Check(dir)
	if len(problems) != 1 || problems[0].Line != line || problems[0].Field != "spec.rules[0].backendRefs[1].name" {
		t.Errorf("problems are %v, want one on line %d", problems, line)
	}
}
