package controlplane

import (
	"strings"
	"testing"

	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/controlplane/source/file"
)

// sharded is a topic with the given partitions on line 6.
func sharded(partitions string) string {
	return head + "EventTopic\nmetadata: {name: orders, namespace: shop}\nspec:\n  brokerRef: {name: main}\n" + partitions
}

func declared(t *testing.T, text string) declare.Set {
	t.Helper()
	set, problems := file.Decode(file.File{Name: "topics.yaml", Data: []byte(text)})
	if len(problems) > 0 {
		t.Fatalf("the test's own objects are wrong: %v", problems)
	}
	return set
}

func TestTheControlPlaneKeepsThePartitionsInForce(t *testing.T) {
	t.Parallel()
	dir := shopDir(t)
	edit(t, dir, map[string]string{"topics.yaml": sharded("  partitions: {count: 8}\n") + "---\n" + topicYAML("orders-next")})
	cp := launch(t, dir, nil)
	wait(t, "ready", cp.Ready())
	version := getStatus(t, cp, "").GetVersion()

	edit(t, dir, map[string]string{"topics.yaml": sharded("  partitions: {count: 4}\n") + "---\n" + topicYAML("orders-next")})
	eventually(t, "the problem shows", func() bool { return len(getStatus(t, cp, "").GetProblems()) == 1 })
	got := getStatus(t, cp, "")
	if p := got.GetProblems()[0]; p.GetFile() != "topics.yaml" || p.GetLine() != 6 || p.GetField() != "spec.partitions.count" ||
		!strings.Contains(p.GetMessage(), "is 4, but the topic is in force with 8") {
		t.Errorf("got %v", p)
	}
	if got.GetVersion() != version {
		t.Errorf("version %s is in force, want %s", got.GetVersion(), version)
	}
	if c := condition(object(t, got, "EventTopic", "orders"), "Accepted"); c.GetStatus() != "False" || c.GetReason() != "Invalid" {
		t.Errorf("Accepted: got %v", c)
	}
}
