package mesh_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/warrenmesh/warren/mesh"
)

func TestParseName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{ // "" means refused
		"orders":          "shop/orders",
		"billing/orders":  "billing/orders",
		"a.b-c.9":         "shop/a.b-c.9",
		"":                "",
		"/orders":         "",
		"shop/":           "",
		"a/b/c":           "",
		"Orders":          "",
		"or ders":         "",
		"-orders":         "",
		"orders-":         "",
		"a..b":            "",
		"a.-b":            "",
		"a-.b":            "",
		"or\x00ders":      "",
		"\x1b[2J":         "",
		"\u00f6rders":     "",
		"a.b/orders":      "",
		"SHOP/orders":     "",
		"../orders":       "",
		"orders\nlevel=x": "",
	} {
		t.Run(in, func(t *testing.T) {
			t.Parallel()
			n, err := mesh.ParseName(in, "shop")
			if (err == nil) != (want != "") || err == nil && n.String() != want {
				t.Errorf("ParseName(%q) = %s, %v; want %q", in, n, err, want)
			}
		})
	}
}

func TestANameOfMegabytesIsNotEchoed(t *testing.T) {
	t.Parallel()
	for _, name := range []string{strings.Repeat("a", 5<<20), strings.Repeat("n", 5<<20) + "/orders", strings.Repeat("\x1b", 5<<20)} {
		_, err := mesh.ParseName(name, "shop")
		if err == nil || len(err.Error()) > 1000 || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("a name of %d bytes: error of %d bytes", len(name), len(err.Error()))
		}
	}
}

// The kinds are checked by Kubernetes' own functions; a name that can be declared
// must be one that can be asked for, and no other.
func FuzzNamesAreThoseOfTheKinds(f *testing.F) {
	for _, s := range []string{"a", "a.b", "a-b", "a.-b", "-", ".", "a..b", "A", strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat("a", 253), strings.Repeat("a", 254)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, "/") {
			return
		}
		_, err := mesh.ParseName(s, "shop")
		if want := len(validation.IsDNS1123Subdomain(s)) == 0; (err == nil) != want {
			t.Errorf("name %q: %v, Kubernetes takes it: %t", s, err, want)
		}
		_, err = mesh.ParseName(s+"/orders", "")
		if want := len(validation.IsDNS1123Label(s)) == 0; (err == nil) != want {
			t.Errorf("namespace %q: %v, Kubernetes takes it: %t", s, err, want)
		}
	})
}
