package message

import (
	"fmt"

	xdstypev3 "github.com/cncf/xds/go/xds/type/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/warrenmesh/warren/xds/wire/field"
)

// Unpack reads the message in a into m and refuses whatever is set in it and not
// supported. A TypedStruct of m's type stands for m.
func Unpack(p field.Path, a *anypb.Any, m proto.Message) error {
	if a == nil {
		return p.Errorf("is required")
	}
	want := proto.MessageName(m)
	switch a.MessageName() {
	case want:
		if err := proto.Unmarshal(a.GetValue(), m); err != nil {
			return p.Errorf("unmarshal %s: %w", want, err)
		}
		if grammarOf(m.ProtoReflect().Descriptor()).sound(a.GetValue()) {
			return nil
		}
	case typedStruct:
		if err := unpackStruct(a, m); err != nil {
			return p.Errorf("%w", err)
		}
	default:
		return p.Errorf("type %q is not supported, want %s", a.GetTypeUrl(), want)
	}
	return honest(p, m.ProtoReflect())
}

const typedStruct protoreflect.FullName = "xds.type.v3.TypedStruct"

func unpackStruct(a *anypb.Any, m proto.Message) error {
	var ts xdstypev3.TypedStruct
	if err := proto.Unmarshal(a.GetValue(), &ts); err != nil {
		return fmt.Errorf("unmarshal TypedStruct: %w", err)
	}
	inner := anypb.Any{TypeUrl: ts.GetTypeUrl()}
	if want := proto.MessageName(m); inner.MessageName() != want {
		return fmt.Errorf("type %q is not supported, want %s", ts.GetTypeUrl(), want)
	}
	text, err := protojson.Marshal(ts.GetValue())
	if err != nil {
		return fmt.Errorf("read TypedStruct: %w", err)
	}
	if err := protojson.Unmarshal(text, m); err != nil {
		return fmt.Errorf("read TypedStruct: %w", err)
	}
	return nil
}

// Holds returns the name of the message in a, seen through a TypedStruct.
func Holds(a *anypb.Any) protoreflect.FullName {
	if a.MessageName() != typedStruct {
		return a.MessageName()
	}
	var ts xdstypev3.TypedStruct
	if proto.Unmarshal(a.GetValue(), &ts) != nil {
		return typedStruct
	}
	return (&anypb.Any{TypeUrl: ts.GetTypeUrl()}).MessageName()
}

// walked tells whether what a field holds is looked at too. The only maps supported
// are from a name to an Any, and an Any is for the decoder to unpack.
func walked(fd protoreflect.FieldDescriptor) bool {
	return !fd.IsMap() && fd.Message() != nil && fd.Message().FullName() != "google.protobuf.Any"
}

// honest walks what is set in m. It stops at an Any: the decoder unpacks that.
func honest(p field.Path, m protoreflect.Message) error {
	if unknown := m.GetUnknown(); len(unknown) > 0 {
		number, _, _ := protowire.ConsumeTag(unknown)
		return p.Errorf("%s has no field number %d here: not supported", m.Descriptor().FullName(), number)
	}
	var err error
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		at := p.Field(string(fd.Name()))
		if !isSupported(fd) {
			err = at.Errorf("not supported")
			return false
		}
		err = honestValue(at, fd, v)
		return err == nil
	})
	return err
}

func honestValue(p field.Path, fd protoreflect.FieldDescriptor, v protoreflect.Value) error {
	switch {
	case !walked(fd):
		return nil
	case fd.IsList():
		for i := range v.List().Len() {
			if err := honest(p.Index(i), v.List().Get(i).Message()); err != nil {
				return err
			}
		}
		return nil
	default:
		return honest(p, v.Message())
	}
}
