package mesh_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/warrenmesh/warren/mesh"
)

func TestCheckHeader(t *testing.T) {
	t.Parallel()
	for entry, good := range map[string]bool{
		"tenant": true, "app-*": true, "*": true, "reply_to": true, "content_encoding": true, "Żółw": true, "c*": true, "x": true,
		strings.Repeat("n", 255): true, strings.Repeat("n", 255) + "*": true,
		"": false, "a*b": false, "**": false, "reply_to*": false, "ce-*": false, "ce-id": false, "cloudEvents*": false, "cloudEvents:id": false,
		"cloudEvents_id": false, "warren-attempt": false, "warren-*": false, "x-death": false, "x-*": false, "traceparent": false, "tracestate": false,
		"baggage": false, "CC": false, "BCC": false, "\xff": false, "a\nb": false, strings.Repeat("n", 256): false,
	} {
		if err := mesh.CheckHeader(entry); (err == nil) != good {
			t.Errorf("CheckHeader(%q) = %v", entry, err)
		}
	}
}

func TestHeaderListAllows(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		list    []string
		yes, no []string
	}{
		"nothing":                          {nil, nil, []string{"tenant", "", "reply_to", "content_encoding"}},
		"a name":                           {[]string{"tenant"}, []string{"tenant"}, []string{"Tenant", "tenants", "tenan", ""}},
		"a beginning":                      {[]string{"app-*"}, []string{"app-", "app-x"}, []string{"app", "xapp-"}},
		"all":                              {[]string{"*"}, []string{"tenant", "CCC"}, []string{"", "ce-id", "cloudEvents:id", "x-death", "warren-attempt", "traceparent", "CC", "BCC", "reply_to", "content_encoding"}},
		"what reaches into reserved names": {[]string{"c*", "warren*", "re*"}, []string{"c", "cx", "warrenty", "ref"}, []string{"ce-id", "cloudEvents_id", "warren-attempt", "reply_to"}},
		"properties":                       {[]string{"reply_to", "content_encoding"}, []string{"reply_to", "content_encoding"}, []string{"reply_to_"}},
		"one property":                     {[]string{"tenant", "reply_to"}, []string{"reply_to", "tenant"}, []string{"content_encoding"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list := mesh.NewHeaderList(test.list)
			if !slices.Equal(list.Entries(), test.list) {
				t.Errorf("entries are %q, want %q", list.Entries(), test.list)
			}
			for _, name := range test.yes {
				if !list.Allows(name) {
					t.Errorf("%q is not allowed", name)
				}
			}
			for _, name := range test.no {
				if list.Allows(name) {
					t.Errorf("%q is allowed", name)
				}
			}
		})
	}
}

func TestAListOfHeadersIsOneTextThatCanBeCompared(t *testing.T) {
	t.Parallel()
	one, same := mesh.NewHeaderList([]string{"tenant", "app-*"}), mesh.NewHeaderList([]string{"tenant", "app-*"})
	other := mesh.NewHeaderList([]string{"app-*", "tenant"})
	if one != same || one == other {
		t.Errorf("%q, %q, %q: the first two are equal, the third is not", one, same, other)
	}
	if none := mesh.NewHeaderList(nil); none != "" || none.Entries() != nil || none.Allows("tenant") {
		t.Errorf("an empty list is %q with %q", none, none.Entries())
	}
}

// A list allows what it names, but never a reserved header: CheckHeader alone would not
// keep "c*" from allowing "ce-id".
func FuzzAListAllowsWhatItNamesAndNothingReserved(f *testing.F) {
	for _, seed := range [][2]string{{"tenant", "tenant"}, {"app-*", "app-x"}, {"*", "ce-id"}, {"c*", "ce-id"}, {"x*", "x-death"}, {"reply_to", "reply_to"}, {"*", "CC"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, entry, name string) {
		if mesh.CheckHeader(entry) != nil {
			return
		}
		list := mesh.NewHeaderList([]string{entry})
		if got := list.Entries(); len(got) != 1 || got[0] != entry {
			t.Fatalf("%q became %q", entry, got)
		}
		if prefix, open := strings.CutSuffix(entry, "*"); !open && !list.Allows(entry) {
			t.Errorf("%q does not allow itself", entry)
		} else if name != "" && list.Allows(name) && name != entry && (!open || !strings.HasPrefix(name, prefix)) {
			t.Errorf("%q allows %q", entry, name)
		}
		if property := name == mesh.PropertyReplyTo || name == mesh.PropertyContentEncoding; list.Allows(name) && mesh.ReservedHeader(name) && (!property || entry != name) {
			t.Errorf("%q allows %q, which is reserved", entry, name)
		}
	})
}
