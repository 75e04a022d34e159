package deadletter

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"
	"sigs.k8s.io/yaml"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

// letterPrinter prints dead letters one by one as they come.
type letterPrinter struct {
	format  string
	out     io.Writer
	style   terminal.Style
	now     time.Time
	printed int64

	buf bytes.Buffer
}

// print writes one letter, in one write.
func (p *letterPrinter) print(l *adminv1.DeadLetter) error {
	p.buf.Reset()
	switch p.format {
	case cli.JSON, cli.YAML:
		if err := p.script(l); err != nil {
			return &cli.OutputError{Err: err}
		}
	case cli.Raw:
		p.buf.Write(l.GetData())
	case cli.Wide:
		p.wide(cli.Printable(l))
	default:
		p.row(cli.Printable(l))
	}
	p.printed++
	if _, err := p.out.Write(p.buf.Bytes()); err != nil {
		return &cli.OutputError{Err: fmt.Errorf("write output: %w", err)}
	}
	return nil
}

func (p *letterPrinter) script(l *adminv1.DeadLetter) error {
	raw, err := protojson.Marshal(l)
	if err == nil && p.format == cli.YAML {
		p.buf.WriteString("---\n")
		raw, err = yaml.JSONToYAML(raw)
	}
	if err != nil {
		return fmt.Errorf("encode output: %w", err)
	}
	if p.format == cli.JSON {
		raw = append(cli.PlainJSON(raw), '\n')
	}
	p.buf.Write(raw)
	return nil
}

// row is one line of a table whose widths must be guessed, because rows come one
// by one; a long id is cut. The payload, if any, has a line of its own.
func (p *letterPrinter) row(l *adminv1.DeadLetter) {
	const format = "%-6s  %-18s  %-5s  %-20s  %s\n"
	if p.printed == 0 {
		fmt.Fprint(&p.buf, p.style.Bold(strings.TrimSuffix(fmt.Sprintf(format, "AGE", "REASON", "TRIES", "ID", "TYPE"), "\n"))+"\n")
	}
	fmt.Fprintf(&p.buf, format, p.age(l.GetTime()), cli.Excerpt([]byte(l.GetReason()), 18), fmt.Sprint(l.GetAttempts()),
		cli.Excerpt([]byte(l.GetEventId()), 20), cli.Excerpt([]byte(l.GetType()), 200))
	if len(l.GetData()) > 0 {
		fmt.Fprintf(&p.buf, "  %s\n", p.data(l))
	}
}

func (p *letterPrinter) age(t *timestamppb.Timestamp) string {
	if t == nil {
		return "-"
	}
	return cli.Age(p.now.Sub(t.AsTime()))
}

func (p *letterPrinter) data(l *adminv1.DeadLetter) string {
	text := cli.Excerpt(l.GetData(), cli.MaxPayload)
	if uint64(len(l.GetData())) < l.GetDataBytes() {
		text += fmt.Sprintf(" … of %d bytes", l.GetDataBytes())
	}
	return text
}

// wide shows everything, one attribute a line.
func (p *letterPrinter) wide(l *adminv1.DeadLetter) {
	tries := fmt.Sprintf("%d attempts", l.GetAttempts())
	if l.GetAttempts() == 1 {
		tries = "1 attempt"
	}
	fmt.Fprintf(&p.buf, "%s after %s\n", p.style.Bold(cli.Excerpt([]byte(l.GetReason()), 100)), tries)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&p.buf, "  %-15s  %s\n", name, cli.Excerpt([]byte(value), 400))
		}
	}
	line("detail", l.GetDetail())
	line("given up", p.moment(l.GetTime()))
	line("first failure", p.moment(l.GetFirstFailure()))
	line("exchange", l.GetExchange())
	line("routing key", l.GetRoutingKey())
	line("publisher", l.GetPublisher())
	line("trace", l.GetTraceparent())
	line("id", l.GetEventId())
	line("source", l.GetSource())
	line("type", l.GetType())
	for _, name := range slices.Sorted(maps.Keys(l.GetAttributes())) {
		line(name, l.GetAttributes()[name])
	}
	line("data", fmt.Sprintf("%d bytes", l.GetDataBytes()))
	if len(l.GetData()) > 0 {
		fmt.Fprintf(&p.buf, "  %s\n", p.data(l))
	}
}

func (p *letterPrinter) moment(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return fmt.Sprintf("%s, %s ago", t.AsTime().Format(time.RFC3339), p.age(t))
}
