package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// daemon starts c when it is a command that runs until Ctrl-C, and waits until it
// listens. The session's addresses replace its defaults.
func (s *session) daemon(b *block, c command) bool {
	s.Helper()
	line := strings.TrimSuffix(c.line, " &")
	var env []string
	var started string
	switch {
	case regexp.MustCompile(`^(bin/)?warren dev\b`).MatchString(line):
		line += s.devDefaults(line)
		started = "Ctrl-C ends it."
	case strings.Contains(line, "bin/controlplane"):
		env = []string{"WARREN_LISTEN=" + s.here("127.0.0.1:17430"), "WARREN_STATUS_LISTEN=" + s.here("127.0.0.1:17431"), "WARREN_ADMIN_LISTEN=" + s.here("127.0.0.1:17440")}
		started = `"configuration in force"`
	case strings.Contains(line, "bin/sidecar"):
		env = []string{
			"WARREN_LISTEN=" + s.here("127.0.0.1:17400"), "WARREN_ADMIN_LISTEN=" + s.here("127.0.0.1:17410"),
			"WARREN_STATUS_LISTEN=" + s.here("127.0.0.1:17420"), "WARREN_CONTROL_PLANE=" + s.here("127.0.0.1:17430"),
		}
		started = `"sidecar started"`
	case line != c.line:
		s.Fatalf("%s: %s: only programs of ours go to the background", b, c.line)
	default:
		return false
	}
	c.line = line
	if strings.Contains(line, "warren dev") {
		s.end() // the pages say that one must end before the next begins
	}
	p := s.start(b, c, env)
	s.daemons = append(s.daemons, p)
	s.await(p, "start", func(got string) bool {
		select {
		case <-p.done:
			s.Fatalf("%s: %s\nended:\n%s", b, line, got)
		default:
		}
		return strings.Contains(got, started) && (c.output == "" || matches(c.output, got))
	})
	return true
}

var selected = regexp.MustCompile(`matchLabels: \{app: ([a-z-]+)`)

// devDefaults adds the flags that `warren dev` has defaults for, with the session's
// ports.
func (s *session) devDefaults(line string) string {
	s.Helper()
	var flags strings.Builder
	for flag, page := range map[string]string{"--admin-listen": "17440", "--xds-listen": "17430", "--status-listen": "17431"} {
		if !strings.Contains(line, flag) {
			fmt.Fprintf(&flags, " %s %s", flag, s.here("127.0.0.1:"+page))
		}
	}
	if strings.Contains(line, "--workload") {
		return flags.String() // they have their ports already
	}
	var apps []string
	for _, file := range s.devFiles(strings.Fields(line)[2:]) {
		text, err := os.ReadFile(file)
		if err != nil {
			s.Fatal(err)
		}
		for _, m := range selected.FindAllStringSubmatch(string(text), -1) {
			if !slices.Contains(apps, m[1]) {
				apps = append(apps, m[1])
			}
		}
	}
	for i, app := range apps {
		fmt.Fprintf(&flags, " --workload %s:%d", app, s.base+100*i)
	}
	return flags.String()
}

// devFiles lists the files that `warren dev` would read.
func (s *session) devFiles(args []string) []string {
	s.Helper()
	pattern := filepath.Join(s.programs.Root(), "cmd/warren/internal/dev/example/*.yaml")
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		pattern = filepath.Join(s.path(args[0]), "*.yaml")
	}
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		s.Fatalf("no files %s: %v", pattern, err)
	}
	return files
}
