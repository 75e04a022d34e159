package message

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	// The messages of the table are looked up by name.
	_ "github.com/cncf/xds/go/xds/core/v3"
	_ "github.com/cncf/xds/go/xds/type/matcher/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	_ "github.com/warrenmesh/warren/api/xds/v1"
)

var update = flag.Bool("update", false, "rewrite testdata")

func lookup(t *testing.T, name protoreflect.FullName) protoreflect.MessageDescriptor {
	t.Helper()
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return d.(protoreflect.MessageDescriptor)
}

func TestTheTableNamesFieldsThatExist(t *testing.T) {
	t.Parallel()
	for name, fields := range supported {
		d := lookup(t, name)
		for _, f := range fields {
			if d.Fields().ByName(f) == nil {
				t.Errorf("%s has no field %s", name, f)
			}
		}
	}
}

func TestTheTableIsWrittenDown(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("# What a sidecar implements of each message, generated from xds/wire/message/supported.go:\n")
	b.WriteString("# any other field, when it is set, is refused with its path.\n")
	for _, name := range slices.Sorted(maps.Keys(supported)) {
		fmt.Fprintf(&b, "%s\n", name)
		for _, f := range supported[name] {
			fmt.Fprintf(&b, "  %s\n", f)
		}
	}
	const file = "testdata/supported.txt"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("%s is not the table; rewrite it with -update", file)
	}
}

// Every field of every message in the table, set alone: an unlisted one must be
// refused with its name, a listed one must not be refused for being set.
func TestEveryOtherFieldIsRefused(t *testing.T) {
	t.Parallel()
	refused := 0
	for name := range supported {
		d := lookup(t, name)
		for i := range d.Fields().Len() {
			fd := d.Fields().Get(i)
			m := dynamicpb.NewMessage(d)
			set(m, fd)
			err := honest("at", m)
			body, failed := proto.Marshal(m)
			if failed != nil {
				t.Fatal(failed)
			}
			if grammarOf(d).sound(body) != isSupported(fd) {
				t.Errorf("%s: its grammar says otherwise", fd.FullName())
			}
			if isSupported(fd) {
				if err != nil {
					t.Errorf("%s is listed and refused: %v", fd.FullName(), err)
				}
				continue
			}
			refused++
			if want := "at." + string(fd.Name()) + ": not supported"; err == nil || err.Error() != want {
				t.Errorf("%s: error is %v, want %q", fd.FullName(), err, want)
			}
		}
	}
	if refused < 200 {
		t.Errorf("only %d fields were tried", refused)
	}
}

// set gives fd a value that counts as set.
func set(m protoreflect.Message, fd protoreflect.FieldDescriptor) {
	switch {
	case fd.IsMap():
		mp := m.Mutable(fd).Map()
		value := mp.NewValue()
		mp.Set(scalar(fd.MapKey()).MapKey(), value)
	case fd.IsList():
		list := m.Mutable(fd).List()
		if fd.Message() != nil {
			list.AppendMutable()
		} else {
			list.Append(scalar(fd))
		}
	case fd.Message() != nil:
		m.Mutable(fd)
	default:
		m.Set(fd, scalar(fd))
	}
}

func scalar(fd protoreflect.FieldDescriptor) protoreflect.Value {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(1)
	case protoreflect.StringKind:
		return protoreflect.ValueOfString("x")
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte("x"))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(1)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(1)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(1)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(1)
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(1)
	default:
		return protoreflect.ValueOfFloat64(1)
	}
}
