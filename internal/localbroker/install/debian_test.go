package install

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	bookworm = "NAME=\"Debian GNU/Linux\"\nVERSION_CODENAME=bookworm\nID=debian\n"
	targets  = `https://other.example/node/ nodistro main
http://mirror.example/debian-security/ bookworm-security main
http://mirror.example/contrib/ bookworm contrib
http://mirror.example/debian/ bookworm main
http://second.example/debian/ bookworm main
`
)

func TestTheMirrorIsTheOneAptTakesDebianFrom(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, targets, release, want string // "" for an error
	}{
		{"Debian's own release", targets, bookworm, "http://mirror.example/debian/"},
		{"a release by its role", "http://mirror.example/debian/ testing main\n", "ID=debian\n", "http://mirror.example/debian/"},
		{"apt knows nothing", "", bookworm, ""},
		{"only another release", "http://mirror.example/debian/ bullseye main\n", bookworm, ""},
		{"another system", "http://mirror.example/ubuntu/ noble main\n", "ID=ubuntu\nVERSION_CODENAME=noble\n", ""},
	} {
		got, err := mirrorOf(tt.targets, tt.release)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s: mirror %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
}

func TestWhatCannotBeFetchedIsTold(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		want Want
		says string
	}{
		"an unknown version": {Want{Version: "2.8", Cache: t.TempDir()}, "RabbitMQ 2.8 cannot be fetched, only 3.10, 4.0 and 4.3"},
		"no cache":           {Want{Version: "4.3"}, "no cache directory"},
	} {
		if _, err := Fetch(t.Context(), tt.want, t.Logf); !errors.Is(err, ErrNotHere) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: the error is %v, want one with %q", name, err, tt.says)
		}
	}
}

func TestARootIsTakenIfItIsWholeAndOfTheWantedVersion(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	want := Want{Version: "4.3"}
	if _, err := rootInstallation(root, want); err == nil || !strings.Contains(err.Error(), "remove "+root) {
		t.Errorf("an empty root: the error is %v, want what to do", err)
	}
	for _, program := range []string{"usr/lib/rabbitmq/bin/rabbitmq-server", "usr/bin/epmd", "usr/bin/erl_call", "usr/lib/rabbitmq/lib/rabbitmq_server-4.3.6/README"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, program)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, program), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if in, err := rootInstallation(root, want); err != nil || in.Version != "4.3.6" || in.Root != root {
		t.Errorf("a whole root: %+v, %v", in, err)
	}
	if _, err := rootInstallation(root, Want{Version: "4.0"}); err == nil || !strings.Contains(err.Error(), `"4.3.6"`) {
		t.Errorf("a root of another version: the error is %v", err)
	}
}
