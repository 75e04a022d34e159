// Package clitest runs commands of warren in tests: as a person would, with what
// they print compared with files in testdata.
//
//	var warren = clitest.Program{publish.New}
//	r := warren.Run(t, "publish", "orders", "--help")
package clitest

import (
	"bytes"
	"context"
	"flag"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"

	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

// Update rewrites goldens: go test -update.
var Update = flag.Bool("update", false, "rewrite the files in testdata")

// Program is the commands under test.
type Program []cli.Command

// Invocation is the surroundings of one run.
type Invocation struct {
	Ctx   context.Context //nolint:containedctx // nil means the test's
	Env   map[string]string
	Stdin string
	Out   io.Writer // instead of a buffer
	TTY   bool      // somebody at stdin can be asked
}

// Result is what a run left behind.
type Result struct {
	Code     int
	Out, Err string
}

// Run runs the program with nothing around it.
func (p Program) Run(t testing.TB, args ...string) Result {
	t.Helper()
	return p.Call(t, Invocation{}, args...)
}

// Call runs the program.
func (p Program) Call(t testing.TB, in Invocation, args ...string) Result {
	t.Helper()
	var out, errs bytes.Buffer
	term := &terminal.Terminal{
		In: strings.NewReader(in.Stdin), Out: &out, Err: &errs,
		Getenv: func(k string) string { return in.Env[k] }, Interactive: in.TTY,
	}
	if in.Out != nil {
		term.Out = in.Out
	}
	ctx := in.Ctx
	if ctx == nil {
		ctx = t.Context()
	}
	code := cli.Run(ctx, term, args, p...)
	return Result{code, out.String(), errs.String()}
}

// Transcript shows a run as a person would have seen it, with what differs from
// run to run taken out.
func Transcript(r Result, args ...string) string {
	var b strings.Builder
	b.WriteString("$ warren")
	for _, arg := range args {
		if strings.ContainsAny(arg, " {\"") {
			arg = strconv.Quote(arg)
		}
		b.WriteString(" " + arg)
	}
	b.WriteString("\n" + r.Out)
	if r.Err != "" {
		b.WriteString("--- stderr\n" + r.Err)
	}
	b.WriteString("--- exit " + strconv.Itoa(r.Code) + "\n")
	return mask(b.String())
}

var masks = []struct {
	find *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "ADDRESS"},
	{regexp.MustCompile(`\b\d+(\.\d+)?(ms|µs|s)\b`), "TIME"},
	{regexp.MustCompile(`TIME, [\d,]+/s`), "TIME, RATE/s"},
	{regexp.MustCompile(`"seconds": [-\d.e]+`), `"seconds": TIME`},
	{regexp.MustCompile(`(?m)^seconds: [-\d.e]+`), `seconds: TIME`},
	{regexp.MustCompile(`\S*/TestPaths\S*/`), "DIR/"},
}

func mask(s string) string {
	for _, m := range masks {
		s = m.find.ReplaceAllString(s, m.with)
	}
	return s
}

// Golden compares with a file in testdata, or writes it with -update.
func Golden(t testing.TB, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *Update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if got != string(want) {
		t.Errorf("%s:\n%s\nwant:\n%s", path, got, want)
	}
}

// Serve runs a gRPC server on loopback until the test ends and returns its address.
func Serve(t testing.TB, register func(*grpc.Server)) string {
	t.Helper()
	lis, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	register(server)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(lis) })
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
	})
	return lis.Addr().String()
}

// Nobody returns an address on which nothing listens.
func Nobody(t testing.TB) string {
	t.Helper()
	lis, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	return lis.Addr().String()
}

// Write makes a file of that name in a folder of the test, and returns its path.
func Write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// CancelOn cancels at the first write, as a person does who has seen enough.
type CancelOn struct {
	Cancel context.CancelFunc
	Text   strings.Builder // what was written
}

// Write implements io.Writer.
func (c *CancelOn) Write(p []byte) (int, error) {
	c.Cancel()
	return c.Text.Write(p)
}
