package subscribe

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"sigs.k8s.io/yaml"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/event/eventjson"
	"github.com/warrenmesh/warren/proxy/event/eventpb"
)

// deliveryPrinter prints deliveries one by one as they come.
type deliveryPrinter struct {
	format string
	out    io.Writer
	style  terminal.Style

	headed bool // the table's heading was printed
	buf    bytes.Buffer
}

// print writes one delivery, in one write.
func (p *deliveryPrinter) print(d *eventsv1.Delivery) error {
	e, err := eventpb.FromProto(d.GetEvent())
	if err != nil {
		return fmt.Errorf("read delivery: %w", err)
	}
	p.buf.Reset()
	switch p.format {
	case cli.JSON:
		p.buf.Write(append(cli.PlainJSON(eventjson.Append(nil, e)), '\n'))
	case cli.YAML:
		document, err := yaml.JSONToYAML(eventjson.Append(nil, e))
		if err != nil {
			return &cli.OutputError{Err: fmt.Errorf("encode event as YAML: %w", err)}
		}
		p.buf.WriteString("---\n")
		p.buf.Write(document)
	case cli.Raw:
		p.buf.Write(e.Data)
		p.buf.WriteByte('\n')
	case cli.Wide:
		p.wide(d, e)
	default:
		p.row(e)
	}
	if _, err := p.out.Write(p.buf.Bytes()); err != nil {
		return &cli.OutputError{Err: fmt.Errorf("write output: %w", err)}
	}
	return nil
}

// row is one line of a table whose widths must be guessed, because rows come one
// by one: it fits 80 columns while type, id and subject are of ordinary length.
func (p *deliveryPrinter) row(e *event.Event) {
	const format = "%-26s  %-36s  %-9s  %s\n" // an id is a UUID as a rule
	if !p.headed {
		p.headed = true
		fmt.Fprintf(&p.buf, format, "TYPE", "ID", "SUBJECT", "DATA")
	}
	fmt.Fprintf(&p.buf, format, terminal.Printable(e.Type), terminal.Printable(e.ID), terminal.Printable(cli.OrDash(e.Text(event.AttrSubject))), cli.Excerpt(e.Data, 24))
}

// wide shows everything about a delivery, one attribute a line.
func (p *deliveryPrinter) wide(d *eventsv1.Delivery, e *event.Event) {
	title := fmt.Sprintf("%s from %s, attempt %d", e.Type, d.GetTopic(), d.GetAttempt())
	if d.GetRedelivered() {
		title += ", redelivered"
	}
	fmt.Fprintln(&p.buf, p.style.Bold(title))
	line := func(name, value string) { fmt.Fprintf(&p.buf, "  %-15s  %s\n", name, terminal.Printable(value)) }
	line(event.AttrID, e.ID)
	line(event.AttrSource, e.Source)
	for _, a := range e.Attrs {
		line(a.Name, a.Value.String())
	}
	for _, name := range slices.Sorted(maps.Keys(d.GetHeaders())) {
		line("header "+cli.Excerpt([]byte(name), 80), cli.Excerpt([]byte(headerText(d.GetHeaders()[name])), 200))
	}
	if d.GetReplyTo() != "" {
		line("reply to", cli.Excerpt([]byte(d.GetReplyTo()), 255))
	}
	if d.GetContentEncoding() != "" {
		line("encoding", cli.Excerpt([]byte(d.GetContentEncoding()), 255))
	}
	line("data", fmt.Sprintf("%d bytes  %s", len(e.Data), cli.Excerpt(e.Data, 1000)))
}

// headerText is a header's value for people: text as it is, bytes and what is nested in
// JSON.
func headerText(v *eventsv1.HeaderValue) string {
	switch v := v.GetValue().(type) {
	case *eventsv1.HeaderValue_StringValue:
		return v.StringValue
	case *eventsv1.HeaderValue_BoolValue:
		return strconv.FormatBool(v.BoolValue)
	case *eventsv1.HeaderValue_IntValue:
		return strconv.FormatInt(v.IntValue, 10)
	case *eventsv1.HeaderValue_DoubleValue:
		return strconv.FormatFloat(v.DoubleValue, 'g', -1, 64)
	case *eventsv1.HeaderValue_TimestampValue:
		return v.TimestampValue.AsTime().Format(time.RFC3339)
	}
	text, err := protojson.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
