package clients

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// language holds the differences between the pages.
type language struct {
	name string
	env  []string
	// missing names what must be installed; "" when nothing is missing.
	missing func() string
	// skip reports whether a preparation need not be repeated.
	skip func(line string) bool
	// exit is the exit code after SIGTERM: 0, or 128+15 for a JVM.
	exit int
}

func TestClientsOfOthersGo(t *testing.T) {
	t.Parallel()
	language{name: "go", env: []string{"GOFLAGS=-race '-ldflags=-s -w' -buildvcs=false", "GORACE=atexit_sleep_ms=10"}}.test(t)
}

func TestClientsOfOthersNode(t *testing.T) {
	t.Parallel()
	language{
		name: "node",
		missing: func() string {
			out, err := exec.Command("node", "--version").Output()
			if err != nil {
				return "Node 18 or newer (apt-get install -y nodejs npm)"
			}
			var major int
			if _, err := fmt.Sscanf(string(out), "v%d.", &major); err != nil || major < 18 {
				return "Node 18 or newer; this is " + string(out)
			}
			return ""
		},
		skip: func(line string) bool { return strings.HasPrefix(line, "npm ci") && modulesCurrent() },
	}.test(t)
}

// modulesCurrent reports whether npm installed the versions of the lock file.
func modulesCurrent() bool {
	lock, err := os.Stat(filepath.Join(docs, "node/package-lock.json"))
	if err != nil {
		return false
	}
	installed, err := os.Stat(filepath.Join(docs, "node/node_modules/.package-lock.json"))
	return err == nil && !installed.ModTime().Before(lock.ModTime())
}

func TestClientsOfOthersPython(t *testing.T) {
	t.Parallel()
	const debian = "/usr/bin" // before any other Python on PATH: apt installs packages for this one
	language{
		name: "python",
		env:  []string{"PATH=" + debian + ":" + os.Getenv("PATH")},
		missing: func() string {
			if out, err := exec.Command(debian+"/python3", "-c", "import grpc, grpc_tools.protoc").CombinedOutput(); err != nil {
				return "gRPC for Python (apt-get install -y python3-grpcio python3-grpc-tools): " + strings.TrimSpace(string(out))
			}
			return ""
		},
	}.test(t)
}

func TestClientsOfOthersJava(t *testing.T) {
	t.Parallel()
	language{
		name: "java",
		missing: func() string {
			for _, path := range []string{
				"/usr/bin/javac", "/usr/bin/protoc", "/usr/bin/grpc_java_plugin", "/usr/include/google/protobuf/any.proto",
				"/usr/share/java/grpc-netty.jar", "/usr/share/java/protobuf.jar", "/usr/share/java/netty-all.jar",
				"/usr/share/java/guava.jar", "/usr/share/java/perfmark-api.jar",
			} {
				if _, err := os.Stat(path); err != nil {
					return "gRPC for Java (apt-get install -y " + javaPackages + "): no " + path
				}
			}
			return ""
		},
		exit: 128 + 15,
	}.test(t)
}

const javaPackages = "default-jdk-headless protobuf-compiler protobuf-compiler-grpc-java-plugin libprotobuf-dev " +
	"libprotobuf-java libgrpc-java libguava-java libnetty-java libperfmark-java"

// required reports whether the tests of a language must not be skipped.
func required(name string) bool {
	return slices.Contains(strings.Split(os.Getenv("WARREN_CLIENTS"), ","), name)
}

// session is the programs of one language on one mesh.
type session struct {
	language
	t        *testing.T
	mesh     mesh
	bin      string
	programs map[string]command
}

var programName = regexp.MustCompile(`(?i)\b(publish|stream|subscribe|handler)\b`)

// prepare runs the commands that the page runs before its programs, and finds the
// programs.
func (l language) prepare(t *testing.T) *session {
	t.Helper()
	if testing.Short() {
		t.Skip("runs programs of another language; part of make test-system")
	}
	if l.missing != nil {
		if what := l.missing(); what != "" && required(l.name) {
			t.Fatalf("WARREN_CLIENTS asks for %s: install %s", l.name, what)
		} else if what != "" {
			t.Skipf("the %s clients are not run: install %s", l.name, what)
		}
	}
	s := &session{language: l, t: t, bin: built(t, l.name), programs: make(map[string]command)}
	for _, c := range commands(t, l.name+".md") {
		c.line = strings.ReplaceAll(c.line, "bin/clients/", s.bin)
		name := strings.ToLower(programName.FindString(strings.TrimPrefix(c.line, s.bin)))
		switch {
		case name != "" && s.programs[name].line != "":
			t.Fatalf("%s.md runs %s twice", l.name, name)
		case name != "":
			s.programs[name] = c
		case l.skip == nil || !l.skip(c.line):
			mustRun(t, c.dir, c.line, l.env...)
		}
	}
	if len(s.programs) != 4 {
		t.Fatalf("%s.md runs %d programs, want 4", l.name, len(s.programs))
	}
	return s
}

// start runs a program of the page on the test's mesh, with other arguments.
func (s *session) start(name, fromArgs, args string) *program {
	s.t.Helper()
	c := s.programs[name]
	if !strings.Contains(c.line, fromArgs) {
		s.t.Fatalf("the page runs %q, want arguments %q", c.line, fromArgs)
	}
	line := strings.Replace(c.line, fromArgs, args, 1)
	line = strings.NewReplacer(sidecarInDocs, s.mesh.relay, handlerInDocs, s.mesh.handler).Replace(line)
	return start(s.t, c.dir, line, s.env...)
}

// finish starts a program and waits for its end.
func (s *session) finish(name, fromArgs, args string) *program {
	s.t.Helper()
	p := s.start(name, fromArgs, args)
	p.await(patience, "to end", p.ended)
	return p
}

func ids(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s-%d", prefix, i)
	}
	return all
}

// test runs the four programs of a language behind the relay.
func (l language) test(t *testing.T) {
	t.Helper()
	s := l.prepare(t)
	s.mesh = startMesh(t)
	handler := s.start("handler", handlerInDocs, handlerInDocs)
	subscriber := s.start("subscribe", "billing", "billing")
	for _, p := range []*program{handler, subscriber} {
		p.await(patience, "to be ready", func() bool { return len(p.says("ready")) > 0 })
	}
	publishNonsense(t, s.mesh.sidecar)

	publisher := s.finish("publish", "orders demo 20", "orders one 20")
	checkConfirmed(t, publisher, ids("one", 20))
	if got := publisher.says("again"); !slices.Equal(got, []string{"one-2 CONFIRM_TIMEOUT unknown"}) {
		t.Errorf("publish repeated %q, want the third event once", got)
	}
	stream := s.finish("stream", "orders demo 1000", "orders many 400")
	checkConfirmed(t, stream, ids("many", 400))
	checkRepeats(t, stream)

	everything := append(ids("one", 20), ids("many", 400)...)
	handler.awaitAll("received", everything)
	subscriber.awaitAll("received", everything)
	if n := len(subscriber.says("ready")); n != 2 {
		t.Errorf("subscribe opened %d streams, want 2: the relay broke the first", n)
	}
	for _, p := range []*program{handler, subscriber} {
		if got := p.says("refused"); len(got) == 0 || got[0] != "nonsense" || slices.Contains(p.says("received"), "nonsense") {
			t.Errorf("%s refused %q, want the event without JSON", p.line, got)
		}
	}
	refused := s.finish("publish", "orders demo 20", "nowhere lost 1")
	if refused.code() == 0 || len(refused.says("again")) > 0 || len(refused.says("confirmed")) > 0 {
		t.Errorf("publish to a topic that is not there: code %d\n%s", refused.code(), refused.text())
	}
	s.stopsWithTheCause("stream", "orders demo 1000", "nowhere lost 1", "nowhere")
	subscriber.terminate(l.exit)
	handler.terminate(l.exit)

	// Nobody listens where the relay was.
	s.mesh.relay = nobody(t)
	s.stopsWithTheCause("publish", "orders demo 20", "orders lost 1", "refused")
	s.stopsWithTheCause("stream", "orders demo 1000", "orders lost 1", "refused")
	s.stopsWithTheCause("subscribe", "billing", "billing", "refused")
}

// stopsWithTheCause runs a program that cannot do its work: it must end, and say why.
func (s *session) stopsWithTheCause(name, fromArgs, args, cause string) {
	s.t.Helper()
	p := s.finish(name, fromArgs, args)
	if text := p.text(); p.code() == 0 || !strings.Contains(strings.ToLower(text), cause) || len(p.says("confirmed")) > 0 {
		s.t.Errorf("%s ended with code %d and does not say %q:\n%s", p.line, p.code(), cause, text)
	}
}

// nobody is an address on which nothing listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// publishNonsense publishes an event that no program can read.
func publishNonsense(t *testing.T, sidecar string) {
	t.Helper()
	conn, err := grpc.NewClient(sidecar, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = eventsv1.NewEventServiceClient(conn).Publish(ctx, &eventsv1.PublishRequest{Topic: "orders", Event: &eventsv1.CloudEvent{
		Id: "nonsense", Source: "/test", SpecVersion: "1.0", Type: "com.shop.order.placed", Data: &eventsv1.CloudEvent_TextData{TextData: "no JSON"},
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// checkConfirmed checks that a publisher ended well and confirmed each event once.
func checkConfirmed(t *testing.T, p *program, want []string) {
	t.Helper()
	got := p.says("confirmed")
	slices.Sort(got)
	want = slices.Sorted(slices.Values(want))
	if p.code() != 0 || !slices.Equal(got, want) {
		t.Errorf("code %d and %d confirms of %d events\n$ %s\n%s", p.code(), len(got), len(want), p.line, p.text())
	}
}

// checkRepeats checks that exactly the events that the relay left unanswered were sent
// again.
func checkRepeats(t *testing.T, stream *program) {
	t.Helper()
	counts := make(map[string]int)
	for _, line := range stream.says("again") {
		_, reason, _ := strings.Cut(line, " ")
		counts[reason]++
	}
	// The window may have been full when the relay broke the stream.
	if n := counts["STREAM_ENDED unknown"]; counts["CONNECTION_LOST unknown"] != 1 || len(counts) != 2 || n < cutEntries-cutAnswers || n > 64 {
		t.Errorf("repeats by reason are %v", counts)
	}
}
