package message

import (
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// grammar says which fields of a message are supported, by number. It checks a
// message as it came, which is many times faster than walking the decoded one: a
// topic of 10,000 rules has 300,000 fields.
type grammar struct {
	fields map[protowire.Number]fieldGrammar
}

type fieldGrammar struct {
	wire  protowire.Type
	inner *grammar // nil where what it holds is not looked at
}

var (
	grammarsMu sync.Mutex
	grammars   = map[protoreflect.FullName]*grammar{} // guarded by grammarsMu; immutable once there
)

func grammarOf(d protoreflect.MessageDescriptor) *grammar {
	grammarsMu.Lock()
	defer grammarsMu.Unlock()
	return newGrammar(d)
}

// newGrammar is called with grammarsMu held. A message that holds messages of its
// own type finds itself.
func newGrammar(d protoreflect.MessageDescriptor) *grammar {
	if g, ok := grammars[d.FullName()]; ok {
		return g
	}
	g := &grammar{fields: map[protowire.Number]fieldGrammar{}}
	grammars[d.FullName()] = g
	for i := range d.Fields().Len() {
		fd := d.Fields().Get(i)
		if !isSupported(fd) || fd.IsPacked() {
			continue
		}
		f := fieldGrammar{wire: wireType(fd.Kind())}
		if walked(fd) {
			f.inner = newGrammar(fd.Message())
		}
		g.fields[fd.Number()] = f
	}
	return g
}

// Sound reports whether body holds a message of m's type in which every field is
// supported. False says nothing: Unpack looks closer.
func Sound(body *anypb.Any, m proto.Message) bool {
	return body.MessageName() == proto.MessageName(m) && grammarOf(m.ProtoReflect().Descriptor()).sound(body.GetValue())
}

// sound tells whether everything in a message is supported. False means that honest
// must look: a field that is not supported may be there and not set.
func (g *grammar) sound(b []byte) bool {
	for len(b) > 0 {
		number, t, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		f, ok := g.fields[number]
		if !ok || f.wire != t {
			return false
		}
		if n = protowire.ConsumeFieldValue(number, t, b); n < 0 {
			return false
		}
		if f.inner != nil {
			if inner, _ := protowire.ConsumeBytes(b); !f.inner.sound(inner) {
				return false
			}
		}
		b = b[n:]
	}
	return true
}

func wireType(k protoreflect.Kind) protowire.Type {
	switch k {
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	case protoreflect.GroupKind:
		return protowire.StartGroupType
	default:
		return protowire.VarintType
	}
}
