package v1alpha1

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/warrenmesh/warren/api/schema/schematest"
)

// texts lists the fields of a kind that take any text, and those of its metadata.
func texts(t *testing.T, kind string) []string {
	t.Helper()
	paths := []string{"metadata.name", "metadata.namespace"}
	for _, l := range specs(t) {
		if n := l.node; l.kind == kind && n.Type == "string" && len(n.Enum) == 0 && !n.Duration {
			paths = append(paths, l.path)
		}
	}
	return paths
}

// An editor must not mark what the control plane accepts: whatever text a field has, what
// its schema refuses Validate refuses too. The contrary need not hold.
func FuzzValidateRefusesEveryTextThatTheSchemaRefuses(f *testing.F) {
	for _, text := range []string{
		"a", "A", "a.b", "a..b", "-", "a/b", "rabbit:5672", "rabbit:0", "rabbit:065535", "a\nb:1", " :1", "{type}", "{Type}", "{", "amq.x", "amq", "data", "a1",
		"\x00", "\u0085", "\u2028", "reply_to*", "ce-*", "CC", "CC*", "x", strings.Repeat("a", 253), strings.Repeat("a", 254), strings.Repeat("ö", 128), strings.Repeat("a", 256),
	} {
		f.Add(text)
	}
	schemas := map[string]*schematest.Schema{}
	for _, kind := range Kinds() {
		schemas[kind] = schematest.Compile(f, kind)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if text == "" || !utf8.ValidString(text) {
			return // a file can have neither
		}
		fields := 0
		for kind, s := range schemas {
			if kind == KindEventPolicy {
				continue
			}
			for _, path := range texts(t, kind) {
				fields++
				doc := put(document(t, valid(kind)), split(path), text)
				errs := validateText(t, kind, doc)
				if err := s.Validate(doc); err != nil && len(errs) == 0 {
					t.Errorf("%s.%s = %q: Validate accepts it, the schema says %v", kind, path, text, err)
				}
				for _, e := range errs {
					if !strings.HasPrefix(e.Path, "spec") && !strings.HasPrefix(e.Path, "metadata") || e.Message == "" {
						t.Errorf("%s.%s = %q: the error is %+v", kind, path, text, e)
					}
				}
			}
		}
		if fields < 25 {
			t.Errorf("there are %d fields", fields)
		}
	})
}

// validateText takes a document the way of a file. Defaults are filled in twice, which
// must not matter.
func validateText(t *testing.T, kind string, doc map[string]any) []FieldError {
	t.Helper()
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	obj, _ := New(kind)
	if err := json.Unmarshal(raw, obj); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	Default(obj)
	once := copyOf(t, obj)
	Default(obj)
	if twice := copyOf(t, obj); !reflect.DeepEqual(once, twice) {
		t.Errorf("a second pass of Default made %v of %v", twice, once)
	}
	return Validate(obj)
}

// Whatever a file declares, checking it ends with a list of errors and not with a panic.
func FuzzAnyDocumentCanBeChecked(f *testing.F) {
	for i, c := range refusals() {
		if i%4 == 0 {
			raw, err := json.Marshal(document(f, c.obj))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(c.obj.KindName(), raw)
		}
	}
	f.Add(KindEventRoute, []byte(`{"spec":{"rules":[{},{"backendRefs":[{}],"retry":{"backoff":{}}},{"filters":[{"not":{}}]}]}}`))
	f.Add(KindEventSubscription, []byte(`{"spec":{"ordering":"PerKey","retry":{"attempts":-1,"backoff":{"baseInterval":"-1s"}}}}`))
	f.Fuzz(func(t *testing.T, kind string, raw []byte) {
		obj, ok := New(kind)
		if !ok || json.Unmarshal(raw, obj) != nil {
			return
		}
		Default(obj)
		for _, e := range Validate(obj) {
			if e.Message == "" || e.Error() == "" {
				t.Errorf("an error without words: %+v", e)
			}
		}
	})
}
