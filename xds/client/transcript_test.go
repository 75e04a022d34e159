package client

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/client/lastgood"
)

var update = flag.Bool("update", false, "rewrite the transcripts under testdata")

// A transcript is a list of steps, parted by empty lines: what is done, "----",
// and everything that was seen until nothing moved any more. Time is that of a
// synctest bubble: it stands still until a step lets it pass.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts (%v)", err)
	}
	for _, file := range files {
		scenario := strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), ".txt"), "_", " ")
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("%s is not what happened (-update rewrites it); got:\n%s", file, got)
			}
		})
	}
}

// play runs a transcript and returns it with what was really seen.
func play(t *testing.T, script string) string {
	t.Helper()
	state := filepath.Join(t.TempDir(), "last-good.json")
	var out strings.Builder
	synctest.Test(t, func(t *testing.T) {
		p := &player{t: t, state: state, refused: map[string]string{}}
		p.server = startServer(t, p.record)
		defer p.stop()
		for i, step := range strings.Split(strings.TrimSpace(script), "\n\n") {
			if i > 0 {
				out.WriteString("\n")
			}
			input, _, found := strings.Cut(step, "----")
			if !found { // a comment
				out.WriteString(step + "\n")
				continue
			}
			out.WriteString(input + "----\n")
			p.step(input)
			for _, line := range p.seen() {
				out.WriteString(line + "\n")
			}
		}
	})
	return out.String()
}

// player is the client under test, its server, and what was seen of both.
type player struct {
	t       *testing.T
	state   string
	server  *adsServer
	client  *Client
	cancel  context.CancelFunc
	ended   chan error
	hold    chan struct{}     // Apply waits for it when it is not nil
	refused map[string]string // by node address: why Apply refuses its broker
	awaits  sync.WaitGroup

	mu      sync.Mutex
	lines   []string
	answers []string // of Await: they come at the same moment as the rest, in any order
}

func (p *player) record(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, line)
}

// seen waits until nothing moves and returns what was seen since the last call.
func (p *player) seen() []string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	slices.Sort(p.answers)
	lines := slices.Concat(p.lines, p.answers)
	p.lines, p.answers = nil, nil
	return lines
}

// step does what one step says.
//
//	start [topic...]       new client on the state file, and Run
//	stop                   end Run and wait for it
//	want <topic>           Want
//	await <topic> <time>   Await, in the background, for at most that long
//	send <type> <nonce>    a response of the resources on the lines that follow
//	end <code> <text>      the server ends the stream
//	down | up              the server refuses connections, or takes them again
//	freeze                 the connection goes dead without a word
//	hold | release         Apply hangs, and goes on
//	pass <time>            time passes
//	status | file          show Status, or the state file
//	spoil                  damage the state file
func (p *player) step(input string) {
	p.t.Helper()
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(input), "\n"), func(l string) bool {
		return strings.HasPrefix(l, "#")
	})
	f := strings.Fields(lines[0])
	switch f[0] {
	case "start":
		p.start(f[1:])
	case "stop":
		p.stop()
	case "want":
		p.client.Want(name(p.t, f[1]))
	case "await":
		p.await(name(p.t, f[1]), f[2])
	case "send":
		p.send(f[1], f[2], lines[1:])
	case "end":
		code, err := strconv.Atoi(f[1])
		if err != nil {
			p.t.Fatal(err)
		}
		p.server.do(p.t, command{end: status.Error(codes.Code(code), strings.Join(f[2:], " "))})
	case "down", "up":
		p.server.setDown(f[0] == "down")
	case "freeze":
		p.server.freeze()
	case "hold":
		p.hold = make(chan struct{})
	case "release":
		close(p.hold)
		synctest.Wait()
		p.hold = nil
	case "refuse":
		p.refused[f[1]] = strings.Join(f[2:], " ")
	case "pass":
		pass(p.duration(f[1]))
	case "status":
		p.status()
	case "file":
		p.file()
	case "spoil":
		p.spoil()
	default:
		p.t.Fatalf("step %q is not known", lines[0])
	}
}

// pass lets the time of a bubble pass, so far as everything else rests.
func pass(d time.Duration) { <-time.After(d) }

func (p *player) duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		p.t.Fatal(err)
	}
	return d
}

func (p *player) start(topics []string) {
	opts := Options{
		Server:      "passthrough:///control-plane",
		DialOptions: p.server.dialOptions(),
		Node:        xds.Node{ID: "billing.shop~1", Namespace: "shop", Workload: "billing", Version: "test"},
		StateFile:   p.state,
		Apply:       p.apply,
		Logger:      slog.New(logRecorder{p}),
		MaxTopics:   3,
		Backoff:     func(n int) time.Duration { return time.Duration(n+1) * time.Second },
	}
	for _, s := range topics {
		opts.Topics = append(opts.Topics, name(p.t, s))
	}
	c, err := New(opts)
	if err != nil {
		p.t.Fatal(err)
	}
	c.decode = decodeFlawed
	ctx, cancel := context.WithCancel(context.Background())
	p.client, p.cancel, p.ended = c, cancel, make(chan error, 1)
	go func() { p.ended <- c.Run(ctx) }()
}

// stop ends Run, if it runs, and whoever awaits.
func (p *player) stop() {
	if p.cancel == nil {
		return
	}
	p.cancel()
	if err := <-p.ended; err != nil {
		p.t.Errorf("Run: %v", err)
	}
	p.cancel = nil
	p.awaits.Wait()
}

func (p *player) await(topic mesh.Name, within string) {
	ctx, cancel := context.WithTimeout(context.Background(), p.duration(within))
	p.awaits.Go(func() {
		defer cancel()
		err := p.client.Await(ctx, topic)
		answer := fmt.Sprintf("await %s: %v", topic, err)
		if err == nil {
			answer = fmt.Sprintf("await %s: complete", topic)
		} else if errors.Is(err, ErrNotFound) {
			answer = fmt.Sprintf("await %s: ErrNotFound: %v", topic, err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.answers = append(p.answers, answer)
	})
}

func (p *player) send(typ, nonce string, lines []string) {
	p.t.Helper()
	response := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: typ, Nonce: nonce}
	for _, u := range xds.TypeURLs() {
		if shortType(u) == typ {
			response.TypeUrl = u
		}
	}
	for _, line := range lines {
		parseResource(p.t, response, line)
	}
	p.server.do(p.t, command{response: response})
}

// apply refuses brokers that have an address the script names.
func (p *player) apply(s *Snapshot) Refusals {
	var b strings.Builder
	bad := Refusals{}
	for name, x := range s.Config.Brokers {
		for _, n := range x.Nodes {
			if why, ok := p.refused[n.Address]; ok {
				bad[name] = errors.New(why)
			}
		}
	}
	b.WriteString("apply")
	if len(bad) > 0 {
		b.WriteString(" refused")
	}
	if s.FromDisk {
		b.WriteString(" from disk")
	}
	describeConfig(&b, s.Config)
	p.record(b.String())
	if p.hold != nil {
		<-p.hold
	}
	return bad
}

func describeConfig(b *strings.Builder, c *mesh.Config) {
	broker := func(n mesh.Name) string {
		var nodes []string
		for _, node := range c.Brokers[n].Nodes {
			nodes = append(nodes, node.Address)
		}
		return fmt.Sprintf("%s%v", n, nodes)
	}
	byName := func(a, b mesh.Name) int { return strings.Compare(a.String(), b.String()) }
	for _, n := range slices.SortedFunc(maps.Keys(c.Topics), byName) {
		fmt.Fprintf(b, "\n  topic %s ->", n)
		for _, backend := range c.Topics[n].Rules[0].Backends {
			fmt.Fprintf(b, " %s", broker(backend.Destination.Broker))
		}
	}
	for _, n := range slices.SortedFunc(maps.Keys(c.Subscriptions), byName) {
		s := c.Subscriptions[n]
		fmt.Fprintf(b, "\n  subscription %s <- %s at %s", n, s.Topic, broker(s.Broker))
	}
}

func (p *player) status() {
	s := p.client.Status()
	var since string
	if !s.LastContact.IsZero() {
		since = time.Since(s.LastContact).String()
	}
	p.record(fmt.Sprintf("connected=%v contact=%s applied=%v fromDisk=%v error=%q file=%q",
		s.Connected, since, s.Applied, s.FromDisk, s.LastError, p.plain(s.StateFileError)))
	for _, r := range s.Resources {
		line := fmt.Sprintf("  %s %s %s version=%q", shortType(r.TypeURL), r.Name, r.State, r.Version)
		if r.RejectedVersion != "" {
			line += fmt.Sprintf(" rejected=%q", r.RejectedVersion)
		}
		if r.Error != "" {
			line += fmt.Sprintf(" error=%q", r.Error)
		}
		p.record(line)
	}
}

func (p *player) file() {
	g, err := lastgood.Read(p.state)
	if err != nil {
		p.record(p.plain(err.Error()))
		return
	}
	p.record(fmt.Sprintf("%s/%s topics %v", g.Namespace, g.Workload, g.Topics))
	for _, r := range g.Resources {
		p.record(fmt.Sprintf("  %s %s@%s", shortType(r.TypeURL), r.Name, r.Version))
	}
}

func (p *player) spoil() {
	raw, err := os.ReadFile(p.state)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(p.state, bytes.Replace(raw, []byte("shop"), []byte("shoq"), 1), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// plain takes this run's directory out of a text.
func (p *player) plain(s string) string { return strings.ReplaceAll(s, filepath.Dir(p.state)+"/", "") }

// logRecorder puts log records into the transcript. Debug is left out.
type logRecorder struct{ p *player }

func (h logRecorder) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (h logRecorder) WithAttrs([]slog.Attr) slog.Handler           { return h }
func (h logRecorder) WithGroup(string) slog.Handler                { return h }

func (h logRecorder) Handle(_ context.Context, r slog.Record) error {
	line := fmt.Sprintf("log %s: %s", r.Level, r.Message)
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case keyServer, keySavedAt, keyVersion:
		default:
			line += fmt.Sprintf(" %s=%v", a.Key, a.Value)
		}
		return true
	})
	h.p.record(h.p.plain(line))
	return nil
}
