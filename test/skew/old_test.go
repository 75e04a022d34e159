package skew

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
)

// judge returns the answer of the recorded version's sidecar to a resource. It reads
// the resource with the recorded descriptors, and refuses set fields that are not in
// the recorded table. It implements the rule a second time, so that an error in today's
// implementation does not hide itself.
func (r *recording) judge(a *anypb.Any) error {
	m, err := r.unpack(a)
	if err != nil {
		return err
	}
	return r.honest("", m)
}

func (r *recording) unpack(a *anypb.Any) (protoreflect.Message, error) {
	find := protoregistry.GlobalTypes.FindMessageByURL
	if a.MessageName().Parent() == "warren.xds.v1" {
		find = r.types.FindMessageByURL
	}
	kind, err := find(a.GetTypeUrl())
	if err != nil {
		return nil, fmt.Errorf("type %q is not known: %w", a.GetTypeUrl(), err)
	}
	m := kind.New()
	return m, proto.Unmarshal(a.GetValue(), m.Interface())
}

func (r *recording) honest(path string, m protoreflect.Message) error {
	name := m.Descriptor().FullName()
	if unknown := m.GetUnknown(); len(unknown) > 0 {
		number, _, _ := protowire.ConsumeTag(unknown)
		return fmt.Errorf("%s: %s has no field number %d here: not supported", path, name, number)
	}
	if name == "google.protobuf.Any" {
		a := &anypb.Any{TypeUrl: m.Get(m.Descriptor().Fields().ByName("type_url")).String(), Value: m.Get(m.Descriptor().Fields().ByName("value")).Bytes()}
		inner, err := r.unpack(a)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return r.honest(path, inner)
	}
	if name.Parent() == "google.protobuf" {
		return nil
	}
	var err error
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		at := strings.TrimPrefix(path+"."+string(fd.Name()), ".")
		if !slices.Contains(r.supported[name], string(fd.Name())) {
			err = fmt.Errorf("%s: not supported", at)
			return false
		}
		err = r.value(at, fd, v)
		return err == nil
	})
	return err
}

func (r *recording) value(path string, fd protoreflect.FieldDescriptor, v protoreflect.Value) error {
	var err error
	each := func(v protoreflect.Value) bool {
		err = r.honest(path, v.Message())
		return err == nil
	}
	switch {
	case fd.IsMap() && fd.MapValue().Message() != nil:
		v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool { return each(v) })
	case fd.Message() == nil:
	case fd.IsList():
		for i := range v.List().Len() {
			if !each(v.List().Get(i)) {
				break
			}
		}
	default:
		each(v)
	}
	return err
}
