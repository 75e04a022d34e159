package docs

import (
	"context"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/warrenmesh/warren/test/internal/product"
)

// patience bounds every wait. Normally a wait takes a moment.
const patience = 4 * time.Minute

// session is the state of a reader who follows one page: a directory, and terminals in
// it.
type session struct {
	*testing.T
	programs product.Programs
	dir      string
	base     int        // see takePorts
	daemons  []*process // stopped when the page ends
	meantime []*process // must print their output and end before the page ends
	rabbit   *rabbit    // nil when the page needs none
}

// newSession makes a directory with the programs and the examples that the pages name.
func newSession(t *testing.T, page []*block) *session {
	t.Helper()
	s := &session{T: t, programs: programs, dir: t.TempDir(), base: takePorts(t)}
	if slices.ContainsFunc(page, func(b *block) bool { return b.mark["needs"] == "rabbitmq" }) {
		s.rabbit = findRabbit(t)
	}
	s.mkdir("bin")
	for _, name := range []string{"warren", "sidecar", "controlplane"} {
		s.link(programs.Path(name), "bin/"+name)
	}
	if path, err := grpcurl(); err == nil {
		s.link(path, "bin/grpcurl")
	}
	s.link(filepath.Join(programs.Root(), "api"), "api")
	for _, dir := range []string{"examples/shop/config", "docs/clients/config"} {
		files, err := filepath.Glob(filepath.Join(programs.Root(), dir, "*.yaml"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files in %s: %v", dir, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s.write(dir+"/"+filepath.Base(file), s.declared(string(text)))
		}
	}
	t.Cleanup(s.end)
	return s
}

func (s *session) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

func (s *session) mkdir(name string) {
	s.Helper()
	if err := os.MkdirAll(s.path(name), 0o750); err != nil {
		s.Fatal(err)
	}
}

func (s *session) link(target, name string) {
	s.Helper()
	if err := os.Symlink(target, s.path(name)); err != nil {
		s.Fatal(err)
	}
}

// write replaces a file as editors do.
func (s *session) write(name, text string) {
	s.Helper()
	s.mkdir(filepath.ToSlash(filepath.Dir(name)))
	temp := s.path(name) + ".new~"
	if err := os.WriteFile(temp, []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
	if err := os.Rename(temp, s.path(name)); err != nil {
		s.Fatal(err)
	}
}

// address finds the loopback ports of the pages: those of Warren and of a service.
var (
	address = regexp.MustCompile(`(\b127\.0\.0\.1:|\bport: |--workload [a-z]+:)(17[45]\d\d|9090|5672)\b`)
	ours    = regexp.MustCompile(`\b127\.0\.0\.1:[23]\d{4}\b`)
)

// here replaces a page's ports with free ones.
func (s *session) here(text string) string {
	return address.ReplaceAllStringFunc(text, func(found string) string {
		m := address.FindStringSubmatch(found)
		return m[1] + s.port(m[2])
	})
}

// declared is the text of a page's objects with the session's ports and names.
func (s *session) declared(text string) string {
	if s.rabbit != nil {
		text = s.rabbit.declare(text)
	}
	return s.here(text)
}

// there puts a page's ports back.
func (s *session) there(text string) string {
	return ours.ReplaceAllStringFunc(text, func(found string) string {
		n, _ := strconv.Atoi(strings.TrimPrefix(found, "127.0.0.1:")) // the pattern ours matches digits only
		switch offset := n - s.base; {
		case offset == handlerPort:
			return loopback(9090)
		case offset == brokerPort:
			return loopback(5672)
		case offset >= 0 && offset < portsOfSession:
			return loopback(17400 + offset)
		}
		return found
	})
}

// Ports of a session: 200 ports from a multiple of 200 on. They are below the ports
// that the kernel assigns, so that no connection takes one before the page's program
// listens.
const (
	lowestPort, highestPort = 20000, 32000
	portsOfSession          = 200
	lockPort                = portsOfSession - 1  // held as long as the session runs
	handlerPort             = portsOfSession - 10 // of the service that is pushed to
	brokerPort              = portsOfSession - 20 // of the missing broker of a page: see rabbit
)

// takePorts finds ports that no session uses.
func takePorts(t *testing.T) int {
	t.Helper()
	const blocks = (highestPort - lowestPort) / portsOfSession
	first := rand.IntN(blocks)
	for i := range blocks {
		base := lowestPort + (first+i)%blocks*portsOfSession
		lock, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", loopback(base+lockPort))
		if err != nil {
			continue
		}
		if free(t, base, base+10, base+20, base+30, base+31, base+40, base+100, base+110, base+handlerPort) {
			t.Cleanup(func() { _ = lock.Close() })
			return base
		}
		_ = lock.Close()
	}
	t.Fatal("no ports are free")
	return 0
}

func free(t *testing.T, ports ...int) bool {
	t.Helper()
	for _, port := range ports {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", loopback(port))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}

func loopback(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

// port returns the session's port for a page's port.
func (s *session) port(page string) string {
	switch page {
	case "9090":
		return strconv.Itoa(s.base + handlerPort)
	case "5672":
		return strconv.Itoa(s.base + brokerPort)
	}
	n, _ := strconv.Atoi(page) // the pattern address matches digits only
	return strconv.Itoa(s.base + n - 17400)
}

// environment is the environment of every command. It sets the session's addresses as
// defaults, and no other variable of Warren.
func (s *session) environment(extra ...string) []string {
	env := []string{
		"PATH=" + s.path("bin") + ":" + os.Getenv("PATH"), "HOME=" + s.dir, "TMPDIR=/tmp", "LC_ALL=C", "NO_COLOR=1",
		"GORACE=atexit_sleep_ms=10", "no_proxy=127.0.0.1",
	}
	for name, port := range map[string]string{
		"WARREN_SIDECAR": "17400", "WARREN_SIDECAR_ADMIN": "17410", "WARREN_CONTROL_PLANE_ADMIN": "17440",
	} {
		env = append(env, name+"=127.0.0.1:"+s.port(port))
	}
	for _, port := range []string{"17400", "17500", "9090"} { // see environmentAddresses
		env = append(env, "ADDRESS_"+port+"=127.0.0.1:"+s.port(port))
	}
	return append(env, extra...)
}

// asks matches the commands that change nothing. They are repeated until the page is
// right, because a mesh takes a moment to follow.
var asks = regexp.MustCompile(`^(bin/)?warren (status|config dump)|^curl -s [^X]*$|^bin/grpcurl .* list$`)

// run runs the commands of a block.
func (s *session) run(b *block) {
	s.Helper()
	commands, err := b.commands(s.Context())
	if err != nil {
		s.Fatalf("%s: %v", b, err)
	}
	_, meanwhile := b.mark["meanwhile"]
	if meanwhile {
		s.settle(" -n ") // a terminal is free again
	}
	for i, c := range commands {
		switch {
		case meanwhile && i == len(commands)-1:
			p := s.start(b, c, nil)
			first, _, _ := strings.Cut(c.output, "\n")
			s.await(p, "begin", func(got string) bool { return begins(first, got) })
			s.meantime = append(s.meantime, p)
		case s.daemon(b, c):
		default:
			s.finish(b, c)
		}
	}
}

// finish runs a command until it ends.
func (s *session) finish(b *block, c command) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var before string // what it printed the time before
	for {
		p := s.start(b, c, nil)
		select {
		case <-p.done:
		case <-ctx.Done():
			p.kill()
			s.Fatalf("%s: %s\nthe page shows\n%s\nit did not end within %s; it printed\n%s\nand before\n%s",
				b, c.line, c.output, patience, s.there(p.printed()), before)
		}
		got := s.there(p.printed())
		before = got
		code := p.cmd.ProcessState.ExitCode()
		right := code == 0 && (b.lang == "sh" || c.output == "") || c.output != "" && matches(c.output, got)
		if right {
			return
		}
		if !asks.MatchString(c.line) {
			s.wrong(b, c, got, code)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.wrong(b, c, got, code)
		}
	}
}

func (s *session) wrong(b *block, c command, got string, code int) {
	s.Helper()
	s.Fatalf("%s: %s\nthe page shows\n%s\nit is, with exit code %d,\n%s", b, c.line, c.output, code, got)
}

// await waits until a process has printed the wanted output.
func (s *session) await(p *process, what string, right func(got string) bool) {
	s.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		got := s.there(p.printed())
		if right(got) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			s.Fatalf("%s: %s\ndid not %s within %s as the page shows\n%s\nit is\n%s", p.block, p.line, what, patience, p.output, got)
		}
	}
}

// end stops the running processes, the newest first.
func (s *session) end() {
	s.Helper()
	for i := len(s.daemons) - 1; i >= 0; i-- {
		p := s.daemons[i]
		if code := p.stop(); code != 0 {
			s.Errorf("%s: %s ended with exit code %d\n%s", p.block, p.line, code, p.printed())
		}
	}
	for _, p := range s.meantime {
		p.kill()
	}
	s.daemons, s.meantime = nil, nil
}

// settle waits until the commands in the background have printed what the page shows:
// all of them at the end of a page, otherwise only those that end by themselves.
func (s *session) settle(kind string) {
	s.Helper()
	s.meantime = slices.DeleteFunc(s.meantime, func(p *process) bool {
		if !strings.Contains(p.line, kind) {
			return false
		}
		s.await(p, "go on", func(got string) bool { return matches(p.output, got) })
		p.kill()
		return true
	})
}
