package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/server"
)

// A transcript is blocks of a command, "----" and what came of it; -update writes
// the latter. Commands:
//
//	update                     what follows, one a line, is all there is to serve:
//	  topic <name> <weight>    broker <name> <address>...   subscription <name> <app> <prefetch>
//	<client> open              a stream for node "<client>.shop~1", labels app=<client>
//	<client> <type> +a -b      subscribe to a, unsubscribe from b (lds, rds, cds, eds);
//	                           "resume" adds the versions the client has, "node" the
//	                           node's id alone, "node=<client>" another whole node,
//	                           "have=<name>:<version>" a version of the client's own
//	<client> recv [n]          the next n responses (1); <client> ack, or
//	<client> nack <text>       answer the last one
//	<client> quiet             nothing else has been sent
//	<client> close             end the stream
//	sidecars                   what the server knows
func TestTranscripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 9 {
		t.Fatalf("found %d transcripts, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := newScenario(t).run(string(text))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(text) {
				t.Errorf("it went otherwise (-update rewrites):\n%s", got)
			}
		})
	}
}

type scenario struct {
	t        *testing.T
	server   *server.Server
	stub     discoveryv3.AggregatedDiscoveryServiceClient
	clients  map[string]*client
	versions map[string][]string // in order of appearance, by type and resource
}

func newScenario(t *testing.T) *scenario {
	s := server.New(server.Options{})
	return &scenario{t: t, server: s, stub: start(t, s), clients: map[string]*client{}, versions: map[string][]string{}}
}

// run returns the transcript with the outcomes as they are now.
func (s *scenario) run(text string) string {
	var out strings.Builder
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		command, _, found := strings.Cut(block, "\n----")
		out.WriteString(command)
		if found {
			out.WriteString("\n----\n" + s.command(withoutComments(command)))
		} else {
			out.WriteString("\n") // a comment alone
		}
		out.WriteString("\n")
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func withoutComments(command string) []string {
	return slices.DeleteFunc(strings.Split(command, "\n"), func(line string) bool { return strings.HasPrefix(line, "#") })
}

func (s *scenario) command(lines []string) string {
	s.t.Helper()
	words := strings.Fields(lines[0])
	switch words[0] {
	case "update":
		s.update(lines[1:])
		return ""
	case "sidecars":
		return s.sidecars()
	}
	c := s.clients[words[0]]
	if c == nil {
		c = newClient(s.t, s.stub, node(words[0]+".shop~1"))
		s.clients[words[0]] = c
	}
	switch words[1] {
	case "open":
		c.open()
	case "recv":
		return s.receive(c, words[2:])
	case "ack":
		c.answer("")
	case "nack":
		c.answer(strings.Join(words[2:], " "))
	case "quiet":
		return s.quiet(c)
	case "close":
		s.close(c)
	default:
		s.subscribe(c, words[1:])
	}
	return ""
}

func (s *scenario) update(lines []string) {
	s.t.Helper()
	var v server.View
	for _, line := range lines {
		words := strings.Fields(line)
		switch words[0] {
		case "topic":
			v.Resources = append(v.Resources, topic(s.t, words[1], s.number(words[2]))...)
		case "broker":
			v.Resources = append(v.Resources, broker(s.t, words[1], words[2:]...)...)
		case "subscription":
			v.Scoped = append(v.Scoped, subscription(s.t, words[1], words[2], s.number(words[3])))
		default:
			s.t.Fatalf("unknown kind in %q", line)
		}
	}
	s.server.Update(v)
}

func (s *scenario) number(word string) uint32 {
	s.t.Helper()
	n, err := strconv.ParseUint(word, 10, 32)
	if err != nil {
		s.t.Fatal(err)
	}
	return uint32(n)
}

var typeNames = map[string]string{"lds": xds.TypeListener, "rds": xds.TypeRoute, "cds": xds.TypeCluster, "eds": xds.TypeEndpoint}

func typeName(url string) string {
	for short, long := range typeNames {
		if long == url {
			return short
		}
	}
	return url
}

func (s *scenario) subscribe(c *client, words []string) {
	s.t.Helper()
	url, ok := typeNames[words[0]]
	if !ok {
		s.t.Fatalf("unknown command %q", words)
	}
	req := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: url}
	for _, w := range words[1:] {
		switch {
		case w == "resume":
			req.InitialResourceVersions = c.have[url]
		case strings.HasPrefix(w, "have="):
			name, version, _ := strings.Cut(strings.TrimPrefix(w, "have="), ":")
			req.InitialResourceVersions = map[string]string{name: version}
		case w == "node":
			req.Node = &corev3.Node{Id: c.node.ID}
		case strings.HasPrefix(w, "node="):
			req.Node = node(strings.TrimPrefix(w, "node=") + ".shop~1").Proto()
		case w[0] == '+':
			req.ResourceNamesSubscribe = append(req.ResourceNamesSubscribe, w[1:])
		case w[0] == '-':
			req.ResourceNamesUnsubscribe = append(req.ResourceNamesUnsubscribe, w[1:])
		default:
			s.t.Fatalf("unknown word %q", w)
		}
	}
	c.send(req)
}

func (s *scenario) receive(c *client, words []string) string {
	s.t.Helper()
	n := uint32(1)
	if len(words) > 0 {
		n = s.number(words[0])
	}
	var out strings.Builder
	for range n {
		out.WriteString(s.show(c.next()))
	}
	return out.String()
}

func (s *scenario) show(resp *discoveryv3.DeltaDiscoveryResponse) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s\n", typeName(resp.TypeUrl))
	for _, r := range resp.Resources {
		fmt.Fprintf(&out, "  + %s %s\n", r.Name, s.version(resp.TypeUrl, r.Name, r.Version))
	}
	for _, name := range resp.RemovedResources {
		fmt.Fprintf(&out, "  - %s\n", name)
	}
	return out.String()
}

// version numbers the versions of a resource by their first appearance.
func (s *scenario) version(url, resource, version string) string {
	if version == "" {
		return "none"
	}
	key := url + " " + resource
	i := slices.Index(s.versions[key], version)
	if i < 0 {
		i = len(s.versions[key])
		s.versions[key] = append(s.versions[key], version)
	}
	return fmt.Sprint("v", i+1)
}

func (s *scenario) quiet(c *client) string {
	s.t.Helper()
	c.fence()
	if len(c.inbox) == 0 {
		return "yes\n"
	}
	var out strings.Builder
	out.WriteString("no\n")
	for _, resp := range c.inbox {
		out.WriteString(s.show(resp))
	}
	return out.String()
}

func (s *scenario) close(c *client) {
	s.t.Helper()
	c.cancel()
	c.stream = nil
	await(s.t, s.server, c.node.ID+" is gone", func(all []server.Sidecar) bool {
		return !slices.ContainsFunc(all, func(x server.Sidecar) bool { return x.Node.ID == c.node.ID })
	})
}

func (s *scenario) sidecars() string {
	s.t.Helper()
	for _, c := range s.clients {
		if c.stream != nil && !c.first {
			c.fence()
		}
	}
	var out strings.Builder
	for _, sidecar := range s.server.Sidecars() {
		fmt.Fprintf(&out, "%s\n", sidecar.Node.ID)
		for _, r := range sidecar.Resources {
			if strings.HasPrefix(r.Name, fence) {
				continue
			}
			fmt.Fprintf(&out, "  %s %s %s %s", typeName(r.TypeURL), r.Name, s.version(r.TypeURL, r.Name, r.Version), r.State)
			if r.State != server.Acked && r.State != server.DoesNotExist {
				fmt.Fprintf(&out, ", accepted %s", s.version(r.TypeURL, r.Name, r.Acked))
			}
			if r.Error != "" {
				fmt.Fprintf(&out, ": %s", r.Error)
			}
			out.WriteString("\n")
		}
	}
	return out.String()
}
