package main

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

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

var update = flag.Bool("update", false, "rewrite the files in testdata")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// invocation is one run of the command.
type invocation struct {
	ctx   context.Context // nil means the test's
	env   map[string]string
	stdin string
	out   io.Writer // instead of a buffer
	tty   bool      // somebody at stdin can be asked
}

// result is what a run left behind.
type result struct {
	code     int
	out, err string
}

func (i invocation) run(t *testing.T, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	term := &terminal.Terminal{
		In: strings.NewReader(i.stdin), Out: &out, Err: &errs,
		Getenv: func(k string) string { return i.env[k] }, Interactive: i.tty,
	}
	if i.out != nil {
		term.Out = i.out
	}
	ctx := i.ctx
	if ctx == nil {
		ctx = t.Context()
	}
	code := run(ctx, term, args)
	return result{code, out.String(), errs.String()}
}

// transcript shows a run as a person would have seen it, with what differs from
// run to run taken out.
func transcript(r result, args ...string) string {
	var b strings.Builder
	b.WriteString("$ warren")
	for _, arg := range args {
		if strings.ContainsAny(arg, " {\"") {
			arg = strconv.Quote(arg)
		}
		b.WriteString(" " + arg)
	}
	b.WriteString("\n" + r.out)
	if r.err != "" {
		b.WriteString("--- stderr\n" + r.err)
	}
	b.WriteString("--- exit " + strconv.Itoa(r.code) + "\n")
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

// golden compares with a file in testdata, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
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

// serve runs a gRPC server on loopback until the test ends and returns its address.
func serve(t *testing.T, register func(*grpc.Server)) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
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

// nobody returns an address on which nothing listens.
func nobody(t *testing.T) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	return lis.Addr().String()
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
