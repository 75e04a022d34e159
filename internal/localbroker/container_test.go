package localbroker

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// docker plays the docker command: "wait" blocks until "kill" or "rm".
const docker = `#!/bin/sh
echo "$*" >>"$0.log"
case $1 in
run | start) mkfifo "$0.$2$$" && mv "$0.$2$$" "$0.running" ;;
wait) read -r line <"$0.running" ;;
kill | rm) : >"$0.running"; rm -f "$0.running" ;;
esac
`

func TestContainerIsStartedAgainAndRemoved(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "docker")
	if err := os.WriteFile(path, []byte(docker), 0o700); err != nil { //nolint:gosec // It is executed.
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(serve(t, rabbit(all)), ":")
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{}.withDefaults()
	c := &container{options: &o, docker: path, name: "warren-test", port: number}
	b, err := launch(t.Context(), &o, localURL(c.address()), "a container", c)
	if err != nil {
		t.Fatalf("start container: %v", err)
	}
	first := c.exited()
	ctx, cancel := context.WithCancel(t.Context())
	supervised := make(chan error, 1)
	go func() { supervised <- b.Supervise(ctx) }()
	if err := b.Kill(t.Context()); err != nil {
		t.Fatalf("kill container: %v", err)
	}
	await(t, "the container is back", func() bool { return c.exited() != first && !isClosed(c.exited()) })
	cancel()
	if err := <-supervised; err != nil {
		t.Errorf("supervise: %v", err)
	}
	if err := b.Stop(t.Context()); err != nil {
		t.Errorf("stop container: %v", err)
	}
	log, err := os.ReadFile(path + ".log")
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{
		"run --detach --name warren-test --hostname warren-test --publish 127.0.0.1:" + port + ":5672 " + image,
		"kill warren-test", "start warren-test", "rm --force --volumes warren-test",
	} {
		if !strings.Contains(string(log), command+"\n") {
			t.Errorf("docker was not called with %q, only with:\n%s", command, log)
		}
	}
}
