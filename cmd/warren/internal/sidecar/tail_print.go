package sidecar

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"sigs.k8s.io/yaml"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

// tailPrinter prints what a tap shows, one by one.
type tailPrinter struct {
	format string
	out    io.Writer
	style  terminal.Style

	headed bool
	buf    bytes.Buffer
}

// stageWords are the stages in a word.
var stageWords = map[adminv1.TapStage]string{
	adminv1.TapStage_TAP_STAGE_PUBLISHED: "published",
	adminv1.TapStage_TAP_STAGE_DELIVERED: "delivered",
	adminv1.TapStage_TAP_STAGE_SETTLED:   "settled",
}

// print writes one event, in one write.
func (p *tailPrinter) print(r *adminv1.TapResponse) error {
	p.buf.Reset()
	switch p.format {
	case cli.JSON, cli.YAML:
		if err := p.script(r); err != nil {
			return &cli.OutputError{Err: err}
		}
	case cli.Wide:
		p.wide(cli.Printable(r))
	default:
		p.row(cli.Printable(r))
	}
	if _, err := p.out.Write(p.buf.Bytes()); err != nil {
		return &cli.OutputError{Err: fmt.Errorf("write output: %w", err)}
	}
	return nil
}

func (p *tailPrinter) script(r *adminv1.TapResponse) error {
	raw, err := protojson.Marshal(r)
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

const tailTime = "15:04:05.000"

// row is one line of a table whose widths must be guessed, because rows come one
// by one; a long id is cut. The payload, if any, has a line of its own, once.
func (p *tailPrinter) row(r *adminv1.TapResponse) {
	const format = "%-12s  %-9s  %-20s  %s\n"
	if !p.headed {
		p.headed = true
		fmt.Fprintf(&p.buf, format, "TIME", "STAGE", "ID", "WHAT")
	}
	fmt.Fprintf(&p.buf, format, r.GetTime().AsTime().Local().Format(tailTime), stageWords[r.GetStage()],
		cli.Excerpt([]byte(r.GetEventId()), 20), p.paint(r)(tailText(r)))
	if r.GetError() != "" {
		fmt.Fprintf(&p.buf, "  %s\n", cli.Excerpt([]byte(r.GetError()), 400))
	}
	if len(r.GetData()) > 0 && r.GetStage() != adminv1.TapStage_TAP_STAGE_SETTLED {
		fmt.Fprintf(&p.buf, "  %s\n", p.data(r))
	}
}

func (p *tailPrinter) data(r *adminv1.TapResponse) string {
	text := cli.Excerpt(r.GetData(), cli.MaxPayload)
	if uint64(len(r.GetData())) < r.GetDataBytes() {
		text += fmt.Sprintf(" … of %d bytes", r.GetDataBytes())
	}
	return text
}

// tailText says in a few words what happened.
func tailText(r *adminv1.TapResponse) string {
	took := ""
	if r.GetTook() != nil {
		took = ", " + shortDuration(r.GetTook().AsDuration())
	}
	switch r.GetStage() {
	case adminv1.TapStage_TAP_STAGE_PUBLISHED:
		if r.GetError() != "" {
			return fmt.Sprintf("to %s failed%s%s", r.GetTopic(), took, attemptText(r.GetAttempt()))
		}
		return fmt.Sprintf("to %s%s%s", r.GetTopic(), took, attemptText(r.GetAttempt()))
	case adminv1.TapStage_TAP_STAGE_SETTLED:
		return fmt.Sprintf("%s by %s%s%s", r.GetOutcome(), r.GetSubscription(), took, attemptText(r.GetAttempt()))
	default:
		return fmt.Sprintf("to %s%s", r.GetSubscription(), attemptText(r.GetAttempt()))
	}
}

// attemptText tells of an attempt only when it is not the first.
func attemptText(n uint32) string {
	if n < 2 {
		return ""
	}
	return fmt.Sprintf(", attempt %d", n)
}

func shortDuration(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	default:
		return d.Round(time.Microsecond).String()
	}
}

func (p *tailPrinter) paint(r *adminv1.TapResponse) func(string) string {
	switch {
	case r.GetStage() == adminv1.TapStage_TAP_STAGE_PUBLISHED && r.GetError() != "", r.GetOutcome() == "dead-letter":
		return p.style.Red
	case r.GetOutcome() == "retry":
		return p.style.Yellow
	default:
		return func(s string) string { return s }
	}
}

// wide shows everything, one attribute a line.
func (p *tailPrinter) wide(r *adminv1.TapResponse) {
	at := r.GetTime().AsTime().Local().Format(tailTime)
	fmt.Fprintf(&p.buf, "%s %s\n", p.style.Bold(at+" "+stageWords[r.GetStage()]), p.paint(r)(tailText(r)))
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&p.buf, "  %-15s  %s\n", name, cli.Excerpt([]byte(value), 400))
		}
	}
	line("id", r.GetEventId())
	line("source", r.GetSource())
	line("type", r.GetType())
	for _, name := range slices.Sorted(maps.Keys(r.GetAttributes())) {
		line(name, r.GetAttributes()[name])
	}
	line("topic", r.GetTopic())
	line("route", r.GetRoute())
	line("exchange", r.GetExchange())
	line("routing key", r.GetRoutingKey())
	line("trace", r.GetTraceparent())
	line("error", r.GetError())
	line("data", fmt.Sprintf("%d bytes", r.GetDataBytes()))
	if len(r.GetData()) > 0 {
		fmt.Fprintf(&p.buf, "  %s\n", p.data(r))
	}
}
