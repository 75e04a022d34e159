package main

import (
	"go/ast"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestACommentSpeaksOfTheFieldByItsNameInFiles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ text, goName, name, want string }{
		{"MaxEventBytes is the largest payload.", "MaxEventBytes", "maxEventBytes", "maxEventBytes is the largest payload."},
		{"TTL is how long.", "TTL", "ttl", "TTL is how long."},
		{"Name of the object.", "Name", "name", "Name of the object."},
		{"On lists the failures.", "On", "on", "On lists the failures."},
		{"CESQL is an expression.", "CESQL", "cesql", "CESQL is an expression."},
		{"Limit is a bound.", "Limit", "bound", "Bound is a bound."},
		{"The bound of all.", "Limit", "bound", "The bound of all."},
		{"", "Limit", "bound", ""},
	} {
		if got := (comment{text: test.text}).sentence(test.goName, test.name); got != test.want {
			t.Errorf("%q of %s is %q, want %q", test.text, test.name, got, test.want)
		}
	}
}

func TestACommentIsTakenApartIntoWordsAndMarkers(t *testing.T) {
	t.Parallel()
	c := readComment(&ast.CommentGroup{List: []*ast.Comment{
		{Text: "// Port on loopback"}, {Text: "// where the service listens."}, {Text: "//"},
		{Text: "// +kubebuilder:validation:Pattern=`^a=b$`"}, {Text: "// +warren:unsupported"}, {Text: "// +warren:default:text=none, a=b"},
	}})
	if c.text != "Port on loopback where the service listens." {
		t.Errorf("words %q", c.text)
	}
	want := []marker{{"kubebuilder:validation:Pattern", "^a=b$"}, {"warren:unsupported", ""}, {"warren:default:text", "none, a=b"}}
	if len(c.markers) != len(want) {
		t.Fatalf("markers %v", c.markers)
	}
	for i := range want {
		if c.markers[i] != want[i] {
			t.Errorf("marker %d is %v, want %v", i, c.markers[i], want[i])
		}
	}
	if empty := readComment(nil); empty.text != "" || empty.markers != nil {
		t.Errorf("no comment is %+v", empty)
	}
}

func TestTheGeneratorFailsWhereItCannotRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "kinds.go"), []byte("package kinds\n\ntype EventTopic struct {"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(dir, filepath.Join(dir, "out")); err == nil || !strings.Contains(err.Error(), "parse source: ") || !strings.Contains(err.Error(), "kinds.go:3") {
		t.Errorf("source that is cut off: %v", err)
	}
	if err := run(filepath.Join(dir, "none"), filepath.Join(dir, "out")); err == nil || !strings.Contains(err.Error(), "kind EventTopic has no type") {
		t.Errorf("a directory that is not there: %v", err)
	}
	if err := run("../../../v1alpha1", filepath.Join(dir, "kinds.go", "out")); err == nil {
		t.Error("a file for the directory of the schemas was taken")
	}
}
