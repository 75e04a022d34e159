package cli

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

// Printable returns a copy of a message in which every text can be printed: node ids,
// reasons, names and attributes are others' words. Pages and lines for people are made
// from such copies alone; JSON and YAML have texts as they are, and bytes are left to
// excerpt.
func Printable[M proto.Message](m M) M {
	out := proto.CloneOf(m)
	escape(out.ProtoReflect())
	return out
}

func escape(m protoreflect.Message) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap():
			escapeMap(value.Map(), field)
		case field.IsList():
			list := value.List()
			for i := range list.Len() {
				list.Set(i, escaped(list.Get(i), field))
			}
		default:
			m.Set(field, escaped(value, field))
		}
		return true
	})
}

func escapeMap(m protoreflect.Map, field protoreflect.FieldDescriptor) {
	type entry struct {
		key   protoreflect.MapKey
		value protoreflect.Value
	}
	var entries []entry
	m.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		entries = append(entries, entry{k, v})
		return true
	})
	for _, e := range entries {
		m.Clear(e.key)
	}
	for _, e := range entries {
		m.Set(escaped(e.key.Value(), field.MapKey()).MapKey(), escaped(e.value, field.MapValue()))
	}
}

// escaped returns a single value; a message is changed in place.
func escaped(v protoreflect.Value, field protoreflect.FieldDescriptor) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(terminal.Printable(v.String()))
	case protoreflect.MessageKind, protoreflect.GroupKind:
		escape(v.Message())
	}
	return v
}
