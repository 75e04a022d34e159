package file

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// replace writes a file as editors do: beside it, then renamed over it.
func replace(t *testing.T, dir, name, content string) {
	t.Helper()
	write(t, dir, "."+name+".swp", content)
	if err := os.Rename(filepath.Join(dir, "."+name+".swp"), filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func topicYAML(name, routingKey string) string {
	return head + "kind: EventTopic\nmetadata: {name: " + name + "}\nspec: {brokerRef: {name: main}, routingKey: \"" + routingKey + "\"}\n"
}

func TestLoadReadsYAMLFilesInOrderOfName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "b.yaml", topicYAML("b", "k"))
	write(t, dir, "a.yml", topicYAML("a", "k"))
	write(t, dir, ".#a.yaml", "{")
	write(t, dir, "a.yaml~", "{")
	write(t, dir, "README.md", "{")
	if err := os.Mkdir(filepath.Join(dir, "sub.yaml"), 0o700); err != nil {
		t.Fatal(err)
	}
	set, problems := Load(dir)
	if len(problems) > 0 || len(set.Objects) != 2 || set.Objects[0].File != "a.yml" || set.Objects[1].File != "b.yaml" {
		t.Errorf("got %+v, problems:\n%s", set.Objects, texts(problems))
	}
}

func TestLoadSaysWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "big.yaml", strings.Repeat("#", maxFileBytes+1))
	if err := os.Symlink("nowhere", filepath.Join(dir, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	set, problems := Load(dir)
	want := "big.yaml: is larger than 8 MiB: split it into several files\n" +
		"link.yaml: cannot be read: no such file or directory: make it a file this process may read\n" +
		"pipe.yaml: is a directory or a special file: want a regular file or a symbolic link to one"
	if got := texts(problems); got != want || !set.Incomplete {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestAnAbsentOrEmptyDirectoryIsAProblemThatSaysWhatToDo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for path, want := range map[string]string{
		dir:                       "holds no *.yaml or *.yml file: declare at least one object there",
		filepath.Join(dir, "gon"): "does not exist: create it",
	} {
		if _, problems := Load(path); len(problems) != 1 || !strings.Contains(problems[0].Message, want) {
			t.Errorf("Load: got %q, want %q", texts(problems), want)
		}
		if err := Check(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Check: got %v, want %q", err, want)
		}
	}
	write(t, dir, "a.yaml", "")
	if err := Check(dir); err != nil {
		t.Errorf("a directory with a file: %v", err)
	}
}

func TestAChangedFileIsDecodedAndTheOthersAreNot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a.yaml", topicYAML("a", "k"))
	write(t, dir, "b.yaml", topicYAML("b", "k")+"---\n"+head+"kind: Nothing\n")
	var m memory
	was := load(dir, &m)
	before := was.set
	if len(before.Objects) != 2 || len(was.problems) != 1 {
		t.Fatalf("got %+v, problems:\n%s", before.Objects, texts(was.problems))
	}
	write(t, dir, "a.yaml", topicYAML("a", "other"))
	is := load(dir, &m)
	after := is.set
	if is.sum == was.sum || len(is.problems) != 1 || !after.Incomplete {
		t.Errorf("the unchanged file's problem: %t, %s", after.Incomplete, texts(is.problems))
	}
	if after.Objects[0].Value == before.Objects[0].Value || after.Objects[1].Value != before.Objects[1].Value {
		t.Errorf("want a new and b shared: %p %p, before %p %p", after.Objects[0].Value, after.Objects[1].Value, before.Objects[0].Value, before.Objects[1].Value)
	}
	if fresh, _ := Load(dir); !reflect.DeepEqual(fresh, after) {
		t.Errorf("a fresh load has %+v, want %+v", fresh, after)
	}
	if len(m.parts) != 2 {
		t.Errorf("%d parts are remembered, want those of the last load", len(m.parts))
	}
}
