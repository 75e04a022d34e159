package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheCommittedSchemasAreCurrent(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	if err := run("../../../v1alpha1", out); err != nil {
		t.Fatal(err)
	}
	made, err := filepath.Glob(filepath.Join(out, "*.json"))
	if err != nil || len(made) != len(kinds)+1 {
		t.Fatalf("made %v: %v", made, err)
	}
	kept, err := filepath.Glob("../../v1alpha1/*.json")
	if err != nil || len(kept) != len(made) {
		t.Errorf("%d files are committed, %d generated: %v", len(kept), len(made), err)
	}
	for _, name := range made {
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join("../../v1alpha1", filepath.Base(name)))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not current, run 'make generate' (%v)", filepath.Base(name), err)
		}
	}
}

func TestTheGeneratorNamesEverythingItDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	src := `package kinds

type EventTopic struct {
	Spec Spec ` + "`json:\"spec\"`" + `
}

// Spec of a topic.
type Spec struct {
	Silent string ` + "`json:\"silent\"`" + `
	// Odd has a type nobody knows.
	Odd complex64 ` + "`json:\"odd\"`" + `
	// Far has a type of another package.
	Far url.URL ` + "`json:\"far\"`" + `
	// Count has markers that are wrong.
	// +warren:default=many
	// +warren:colour=red
	// +warren:format=rainbow
	// +kubebuilder:validation:Minimum=few
	// +kubebuilder:validation:Colour=red
	// +optional
	Count int32 ` + "`json:\"count\"`" + `
}
`
	if err := os.WriteFile(filepath.Join(dir, "kinds.go"), []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	err := run(dir, filepath.Join(dir, "out"))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"kind EventBroker has no type", "Spec.Silent has no comment", "Spec.Odd is of type complex64, which is not declared",
		"Spec.Far has a type the generator does not know", `Spec.Count: default "many" is no integer`, "marker +warren:colour is not known",
		"format rainbow is not known", "Minimum=few is not a number", "marker +kubebuilder:validation:Colour is not known", "marker +optional is not known",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "out")); err == nil {
		t.Error("files were written in spite of errors")
	}
}
