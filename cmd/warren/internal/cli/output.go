package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"

	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

// Bounds and default of --payload, in bytes.
const (
	MaxPayload     = 65536
	DefaultPayload = "1024"
)

// OutputError is a failure to write, as when the reader of a pipe is gone.
type OutputError struct{ Err error }

// Error implements error.
func (e *OutputError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *OutputError) Unwrap() error { return e.Err }

// Values of --output.
const (
	Text  = "text"
	Table = "table"
	Wide  = "wide"
	JSON  = "json"
	YAML  = "yaml"
	Raw   = "raw"
)

// WriteValue writes v as JSON or YAML; both have the JSON names.
func WriteValue(w io.Writer, format string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode output: %w", err)
	}
	return writeJSON(w, format, raw)
}

// WriteMessage does the same for a protobuf message, with the field names of
// protobuf's JSON form and every field present.
func WriteMessage(w io.Writer, format string, m proto.Message) error {
	raw, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode output: %w", err)
	}
	var indented bytes.Buffer
	// protojson varies its white space on purpose; output should not.
	if err := json.Indent(&indented, raw, "", "  "); err != nil {
		return fmt.Errorf("encode output: %w", err)
	}
	return writeJSON(w, format, indented.Bytes())
}

func writeJSON(w io.Writer, format string, raw []byte) error {
	if format == YAML {
		var err error
		if raw, err = yaml.JSONToYAML(raw); err != nil {
			return fmt.Errorf("encode output: %w", err)
		}
	} else {
		raw = append(PlainJSON(raw), '\n')
	}
	if _, err := w.Write(raw); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// PlainJSON writes characters that a terminal would obey, or that change the direction
// of writing, as JSON's escapes: the text they are in stays the same.
func PlainJSON(raw []byte) []byte {
	plain := func(r rune) bool { return r == '\n' || terminal.IsPrintable(r) }
	if bytes.IndexFunc(raw, func(r rune) bool { return !plain(r) }) < 0 {
		return raw
	}
	out := make([]byte, 0, len(raw)+64)
	for _, r := range string(raw) {
		switch {
		case plain(r):
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}
