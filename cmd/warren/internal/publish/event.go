package publish

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/event/eventjson"
)

// eventFlags describe one event.
type eventFlags struct {
	typ, source, id, subject string
	data, dataFile           string
	contentType              string
	attrs                    []string

	doubt string // what may be a mistake in the payload, once it is built
}

// names of the flags that describe the event, for telling them from -f.
var eventFlagNames = []string{"type", "source", "id", "subject", "data", "data-file", "content-type", "attr"}

func (f *eventFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.typ, "type", "", "the event's type, such as com.shop.order.placed")
	flags.StringVar(&f.source, "source", "", "the event's source, a URI-reference")
	flags.StringVar(&f.id, "id", "", "the event's id (default a random UUID)")
	flags.StringVar(&f.subject, "subject", "", "the event's subject")
	flags.StringVar(&f.data, "data", "", "payload `text`")
	flags.StringVar(&f.dataFile, "data-file", "", "read the payload from `file`, - for standard input")
	flags.StringVar(&f.contentType, "content-type", "", "media `type` of the payload (default application/json if it is JSON, text/plain if it is text, else application/octet-stream)")
	flags.StringArrayVar(&f.attrs, "attr", nil, "another attribute as `name=value`; may be repeated")
}

// build makes the event; in is standard input. Mistakes are usage errors.
func (f *eventFlags) build(cmd *cobra.Command, in io.Reader) (*event.Event, error) {
	e := &event.Event{ID: f.id, Source: f.source, Type: f.typ}
	if e.ID == "" {
		e.ID = newUUID()
	}
	if f.subject != "" {
		e.Set(event.AttrSubject, event.String(f.subject))
	}
	if err := f.setAttrs(e); err != nil {
		return nil, err
	}
	if err := f.setData(cmd, e, in); err != nil {
		return nil, err
	}
	if err := e.Validate(); err != nil {
		return nil, cli.Usage(err)
	}
	return e, nil
}

func (f *eventFlags) setAttrs(e *event.Event) error {
	for _, attr := range f.attrs {
		name, value, found := strings.Cut(attr, "=")
		if !found {
			return cli.Usagef("--attr %q: want name=value", attr)
		}
		switch name {
		case event.AttrID, event.AttrSource, event.AttrType, event.AttrSubject:
			return cli.Usagef("--attr %s: use --%s", name, name)
		case event.AttrDataContentType:
			return cli.Usagef("--attr %s: use --content-type", name)
		case event.AttrSpecVersion:
			return cli.Usagef("--attr %s: it is always %s", name, event.SpecVersion)
		}
		v, err := eventjson.Parse(name, value)
		if err != nil {
			return cli.Usagef("--attr %s: %w", name, err)
		}
		e.Set(name, v)
	}
	return nil
}

func (f *eventFlags) setData(cmd *cobra.Command, e *event.Event, in io.Reader) error {
	byText, byFile := cmd.Flags().Changed("data"), f.dataFile != ""
	if byText && byFile {
		return cli.Usagef("--data and --data-file: only one of them")
	}
	e.Data = []byte(f.data)
	if byFile {
		data, err := readAll(f.dataFile, in)
		if err != nil {
			return cli.Usagef("--data-file: %w", err)
		}
		e.Data = data
	}
	switch {
	case f.contentType != "":
		e.Set(event.AttrDataContentType, event.String(f.contentType))
	case byText || byFile:
		e.Set(event.AttrDataContentType, event.String(guessType(e.Data)))
	}
	f.doubt = brokenJSON(e.Data, f.contentType)
	return nil
}

// brokenJSON says what is wrong with data that looks as if it was to be JSON, "" when
// nothing is. A shell takes quotes away, and an editor cuts a file short.
func brokenJSON(data []byte, contentType string) string {
	var v any
	err := json.Unmarshal(data, &v)
	mediaType, _, _ := mime.ParseMediaType(contentType)
	isJSON := mediaType == "application/json" || strings.HasSuffix(mediaType, "+json")
	start := bytes.TrimSpace(data)
	looks := len(start) > 0 && (start[0] == '{' || start[0] == '[')
	switch {
	case err == nil, contentType != "" && !isJSON, contentType == "" && !looks:
		return ""
	case contentType != "":
		return fmt.Sprintf("the payload is no JSON: %v; it is sent as it is, as %s", err, contentType)
	default:
		return fmt.Sprintf("the payload looks like JSON and is none: %v; it is sent as %s", err, guessType(data))
	}
}

func readAll(path string, in io.Reader) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(in)
	}
	return os.ReadFile(path)
}

func guessType(data []byte) string {
	switch {
	case json.Valid(data) && utf8.Valid(data):
		return "application/json"
	case utf8.Valid(data):
		return "text/plain; charset=utf-8"
	default:
		return "application/octet-stream"
	}
}

// newUUID returns a random UUID (RFC 9562, version 4).
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])  // never fails, it ends the program instead
	b[6] = b[6]&0x0f | 0x40 // version 4
	b[8] = b[8]&0x3f | 0x80 // variant
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
