package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/peer"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

// forgery is what others may put into any text they choose: a new title, a cleared
// screen, a line of its own, another direction, a colour by a one-byte control.
const forgery = "a\x1b]0;owned\a\x1b[2J\r\nforged 10.0.0.1  SYNCED\u2028\u202egnp.exe\u2066\u200b\u009b31m\x7f"

// filled puts text into every text of a message, and something into all else.
func filled[M proto.Message](m M, text string) M {
	fill(m.ProtoReflect(), text, 0)
	return m
}

func fill(m protoreflect.Message, text string, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		switch {
		case depth > 4 || m.Descriptor().ParentFile().Package() == "google.protobuf":
		case field.IsMap():
			v := m.NewField(field).Map().NewValue()
			if field.MapValue().Kind() == protoreflect.MessageKind {
				fill(v.Message(), text, depth+1)
			} else {
				v = some(field.MapValue(), text)
			}
			m.Mutable(field).Map().Set(protoreflect.ValueOfString(text).MapKey(), v)
		case field.Kind() == protoreflect.MessageKind && field.IsList():
			fill(m.Mutable(field).List().AppendMutable().Message(), text, depth+1)
		case field.Kind() == protoreflect.MessageKind:
			fill(m.Mutable(field).Message(), text, depth+1)
		case field.IsList():
			m.Mutable(field).List().Append(some(field, text))
		default:
			m.Set(field, some(field, text))
		}
	}
}

func some(field protoreflect.FieldDescriptor, text string) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(text)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(text))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(1)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(1)
	default:
		return field.Default()
	}
}

// pages are all that is made of others' messages, by name, with every text being text.
func pages(t *testing.T, text string) map[string]string {
	t.Helper()
	out := map[string]string{}
	show := func(name string, write func(*bytes.Buffer) error) {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		out[name] = b.String()
	}
	at := timestamppb.New(time.Unix(1000, 0))
	state := filled(&adminv1.GetStatusResponse{}, text)
	state.Objects[0].Conditions = append(state.Objects[0].Conditions,
		&adminv1.Condition{Type: "Accepted", Status: "False", Reason: text, Message: text}, &adminv1.Condition{Type: "Accepted", Status: "True", Message: text})
	state.Sidecars = append(state.Sidecars, proto.CloneOf(state.Sidecars[0]))
	state.Sidecars[0].Resources[0].State = "NACKED"
	dump := filled(&adminv1.GetConfigDumpResponse{}, text)
	letter := filled(&adminv1.DeadLetter{}, text)
	letter.Time, letter.FirstFailure = at, at
	tapped := filled(&adminv1.TapResponse{}, text)
	tapped.Time = at
	for _, format := range []string{formatTable, formatWide, formatJSON} {
		wide := format == formatWide
		show("dead letter "+format, func(b *bytes.Buffer) error {
			return (&letterPrinter{format: format, out: b, now: time.Unix(2000, 0)}).print(letter)
		})
		for stage := range stageWords {
			tapped.Stage = stage
			show("tail "+format+stage.String(), func(b *bytes.Buffer) error { return (&tailPrinter{format: format, out: b}).print(tapped) })
		}
		show("delivery "+format, func(b *bytes.Buffer) error {
			return (&deliveryPrinter{format: format, out: b}).print(delivery(text))
		})
		if format == formatJSON {
			show("status json", func(b *bytes.Buffer) error { return writeMessage(b, format, state) })
			continue
		}
		show("status "+format, func(b *bytes.Buffer) error { return (&statusPage{wide: wide, now: time.Unix(2000, 0)}).write(b, state) })
		show("sidecars "+format, func(b *bytes.Buffer) error {
			return (&statusPage{wide: wide, now: time.Unix(2000, 0)}).writeSidecars(b, state.GetSidecars())
		})
		show("dump "+format, func(b *bytes.Buffer) error { return (&dumpPage{wide: wide, now: time.Unix(2000, 0)}).write(b, dump) })
	}
	return out
}

// delivery has text wherever an event may have it: control characters are refused in
// attributes, what turns the direction of writing is not.
func delivery(text string) *eventsv1.Delivery {
	attribute := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, text)
	return &eventsv1.Delivery{Topic: text, Event: &eventsv1.CloudEvent{
		Id: attribute, Source: "/s", Type: attribute, SpecVersion: "1.0", Data: &eventsv1.CloudEvent_TextData{TextData: text},
		Attributes: map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{"subject": {Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: attribute}}},
	}}
}

// No text of others does more to a page than its letters: no character that a terminal
// obeys, and as many lines as there are with a harmless text.
func TestNoTextOfOthersForgesALine(t *testing.T) {
	t.Parallel()
	harmless := pages(t, "harmless")
	for name, page := range pages(t, forgery) {
		for _, r := range page {
			if r != '\n' && !unicode.IsGraphic(r) {
				t.Errorf("%s: has %U", name, r)
				break
			}
		}
		if got, want := strings.Count(page, "\n"), strings.Count(harmless[name], "\n"); got != want {
			t.Errorf("%s: %d lines, with a harmless text %d:\n%s", name, got, want, page)
		}
		if strings.Contains(name, "json") && !json.Valid([]byte(page)) {
			t.Errorf("%s: is no JSON", name)
		}
	}
}

func TestAFailedCallForgesNoLine(t *testing.T) {
	t.Parallel()
	var errOut bytes.Buffer
	a := &app{Terminal: &terminal.Terminal{Err: &errOut, Out: &errOut, Getenv: func(string) string { return "" }}, started: true}
	call := &callError{Failure: peer.Explain(status.Error(codes.Internal, forgery), true), op: "get status", what: "control plane", address: "x"}
	a.exit(newRoot(a), call)
	a.exit(newRoot(a), errors.New(forgery))
	for _, r := range errOut.String() {
		if r != '\n' && !unicode.IsGraphic(r) {
			t.Errorf("has %U", r)
		}
	}
	if n := strings.Count(errOut.String(), "\n"); n != 3 {
		t.Errorf("%d lines, want 3:\n%s", n, errOut.String())
	}
}

func TestJSONKeepsEveryText(t *testing.T) {
	t.Parallel()
	text := forgery + "\U000e0041\u00e9"
	raw, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	var back string
	if err := json.Unmarshal(plainJSON(raw), &back); err != nil || back != text {
		t.Errorf("got %q, %v", back, err)
	}
}
