package skew

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	xdsv1 "github.com/warrenmesh/warren/api/xds/v1"
)

var record = flag.String("record", "", "record the present as this version")

// The files of a recording.
const (
	descriptorsFile = "xds.binpb"
	supportedFile   = "supported.txt"
	resourcesFile   = "resources.binpb"
	configFile      = "config.yaml"
)

// recording holds what one version knew.
type recording struct {
	dir       string
	types     *dynamicpb.Types                   // of api/xds/v1
	supported map[protoreflect.FullName][]string // the fields that its sidecar implemented
	resources []*discoveryv3.DeltaDiscoveryResponse
}

func recordings(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob("testdata/*/" + descriptorsFile)
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	for i := range dirs {
		dirs[i] = filepath.Dir(dirs[i])
	}
	return dirs
}

func open(t *testing.T, dir string) *recording {
	t.Helper()
	r := &recording{dir: dir, supported: map[protoreflect.FullName][]string{}}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(r.read(t, descriptorsFile), &set); err != nil {
		t.Fatal(err)
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		t.Fatal(err)
	}
	r.types = dynamicpb.NewTypes(files)
	var message protoreflect.FullName
	for line := range strings.Lines(string(r.read(t, supportedFile))) {
		switch name := strings.TrimSpace(line); {
		case strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, " "):
			r.supported[message] = append(r.supported[message], name)
		default:
			message = protoreflect.FullName(name)
			r.supported[message] = nil
		}
	}
	r.resources = r.responses(t)
	return r
}

func (r *recording) read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (r *recording) responses(t *testing.T) []*discoveryv3.DeltaDiscoveryResponse {
	t.Helper()
	var out []*discoveryv3.DeltaDiscoveryResponse
	for data := bufio.NewReader(bytes.NewReader(r.read(t, resourcesFile))); ; {
		resp := new(discoveryv3.DeltaDiscoveryResponse)
		err := protodelim.UnmarshalFrom(data, resp)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, resp)
	}
}

// makeRecording records today's version: the resources that today's control plane sends
// for the configuration in the recording's directory.
func makeRecording(t *testing.T, version string) {
	t.Helper()
	dir := filepath.Join("testdata", version)
	config, err := os.ReadFile(filepath.Join(dir, configFile))
	if err != nil {
		t.Fatalf("write %s first: %v", configFile, err)
	}
	supported, err := os.ReadFile("../../xds/wire/message/testdata/supported.txt")
	if err != nil {
		t.Fatal(err)
	}
	plane := launch(t, map[string]string{configFile: string(config)})
	reader := connect(t, plane.XDSAddr(), nil)
	var resources bytes.Buffer
	for _, resp := range reader.readAll() {
		if _, err := protodelim.MarshalTo(&resources, resp); err != nil {
			t.Fatal(err)
		}
	}
	set, err := proto.MarshalOptions{Deterministic: true}.Marshal(descriptors())
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{descriptorsFile: set, supportedFile: supported, resourcesFile: resources.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// descriptors is api/xds/v1 with its imports, imports first.
func descriptors() *descriptorpb.FileDescriptorSet {
	set := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	var add func(f protoreflect.FileDescriptor)
	add = func(f protoreflect.FileDescriptor) {
		if seen[f.Path()] {
			return
		}
		seen[f.Path()] = true
		for i := range f.Imports().Len() {
			add(f.Imports().Get(i))
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(f))
	}
	add((&xdsv1.Queue{}).ProtoReflect().Descriptor().ParentFile())
	return set
}
