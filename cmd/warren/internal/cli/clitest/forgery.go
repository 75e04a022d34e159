package clitest

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Forgery is what others may put into any text they choose: a new title, a cleared
// screen, a line of its own, another direction, a colour by a one-byte control.
const Forgery = "a\x1b]0;owned\a\x1b[2J\r\nforged 10.0.0.1  SYNCED\u2028\u202egnp.exe\u2066\u200b\u009b31m\x7f"

// Filled puts text into every text of a message, and something into all else.
func Filled[M proto.Message](m M, text string) M {
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

// CheckPages makes pages of others' messages, by name, with every text being a harmless
// one and then Forgery. No text of others does more to a page than its letters: no
// character that a terminal obeys, and as many lines as there are with a harmless text.
func CheckPages(t *testing.T, pages func(t *testing.T, text string) map[string]string) {
	t.Helper()
	harmless := pages(t, "harmless")
	for name, page := range pages(t, Forgery) {
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
