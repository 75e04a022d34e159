package publish

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/publish/cejson"
	"github.com/warrenmesh/warren/cmd/warren/internal/publish/publisher"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

// input is where the events of one warren publish come from.
type input struct {
	publisher.Source
	read  *atomic.Int64 // bytes of the file so far
	size  int64         // of the file; 0 when it is not known
	close func()
}

// part is how much of the input has been read, negative when that is unknown.
func (in *input) part() float64 {
	if in.size == 0 {
		return -1
	}
	return float64(in.read.Load()) / float64(in.size)
}

// openInput opens what -f names, or makes a source of the one event that the flags
// describe.
func openInput(a *cli.App, cmd *cobra.Command, f *publishFlags) (*input, error) {
	var described []string
	for _, name := range eventFlagNames {
		if cmd.Flags().Changed(name) {
			described = append(described, "--"+name)
		}
	}
	switch {
	case f.file != "" && len(described) > 0:
		return nil, cli.Usagef("%s: an event from flags does not go with -f", strings.Join(described, ", "))
	case f.file != "":
		return openFile(a, f.file)
	case len(described) == 0:
		return nil, cli.Usagef("no event: describe one with --type and --source, or name a file with -f (- is standard input)")
	case f.event.typ == "" || f.event.source == "":
		return nil, cli.Usagef("an event needs --type and --source")
	}
	e, err := f.event.build(cmd, a.In)
	if err != nil {
		return nil, err
	}
	if f.event.doubt != "" {
		a.Sayf("%s", a.ErrStyle().Yellow(terminal.Printable(f.event.doubt)))
	}
	return &input{Source: &single{rec: cejson.Record{Event: e}}, close: func() {}}, nil
}

func openFile(a *cli.App, path string) (*input, error) {
	in := &input{read: new(atomic.Int64), close: func() {}}
	reader := a.In
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, cli.Usagef("open input: %w", err)
		}
		in.close = func() { _ = f.Close() } // it was only read
		reader = f
	}
	if f, ok := reader.(*os.File); ok {
		info, err := f.Stat()
		if err == nil && info.IsDir() {
			in.close()
			return nil, cli.Usagef("open input: %s is a directory", path)
		}
		if err == nil && info.Mode().IsRegular() {
			in.size = info.Size()
		}
	}
	in.Source = cejson.NewReader(&countingReader{r: reader, n: in.read}, cejson.ReaderOptions{})
	return in, nil
}

// single is a source of one record.
type single struct {
	rec  cejson.Record
	done bool
}

// Next implements publisher.Source.
func (s *single) Next() (cejson.Record, error) {
	if s.done {
		return cejson.Record{}, io.EOF
	}
	s.done = true
	return s.rec, nil
}

// countingReader counts what passes, for the progress bar.
type countingReader struct {
	r io.Reader
	n *atomic.Int64
}

// Read implements io.Reader.
func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	if err != nil && err != io.EOF {
		return n, fmt.Errorf("read input: %w", err)
	}
	return n, err
}
