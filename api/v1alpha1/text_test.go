package v1alpha1

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestAPathNamesFieldsElementsAndKeys(t *testing.T) {
	t.Parallel()
	root := Path("")
	for want, got := range map[string]Path{
		"spec":                                 root.Child("spec"),
		"spec.rules[0].backendRefs[12].weight": root.Child("spec").Child("rules").Index(0).Child("backendRefs").Index(12).Child("weight"),
		"spec.selector.matchLabels[app]":       Path("spec").Child("selector").Child("matchLabels").Key("app"),
		"spec.selector.matchLabels[app.kubernetes.io/name]": Path("spec").Child("selector").Child("matchLabels").Key("app.kubernetes.io/name"),
		"spec.rules[3].filters[0].all[1].not.exact[type]":   Path("spec").Child("rules").Index(3).Child("filters").Index(0).Child("all").Index(1).Child("not").Child("exact").Key("type"),
		"[0]":  root.Index(0),
		"[ö]":  root.Key("ö"),
		"a.[]": Path("a").Child("").Key(""),
	} {
		if string(got) != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A path is a value: two children of one parent do not write over each other.
func TestPathsOfOneParentAreIndependent(t *testing.T) {
	t.Parallel()
	parent := Path("spec").Child("rules")
	first, second := parent.Index(0), parent.Index(1)
	if a, b := first.Child("name"), second.Child("retry"); a != "spec.rules[0].name" || b != "spec.rules[1].retry" || parent != "spec.rules" {
		t.Errorf("%q, %q of %q", a, b, parent)
	}
}

func TestAFieldErrorSaysItsFieldFirst(t *testing.T) {
	t.Parallel()
	var err error = FieldError{Path: "spec.nodes", Message: "is empty"}
	if err.Error() != "spec.nodes: is empty" {
		t.Errorf("%q", err)
	}
	if err := (FieldError{Message: "is no object"}); err.Error() != "is no object" {
		t.Errorf("of the object as a whole: %q", err)
	}
	var field FieldError
	if !errors.As(errors.Join(errors.New("other"), err), &field) || field.Path != "spec.nodes" {
		t.Errorf("it is not found among others: %+v", field)
	}
}

func TestTheKindOfAnErrorIsTheReasonOfACondition(t *testing.T) {
	t.Parallel()
	for kind, want := range map[ErrorKind]string{
		Invalid: "Invalid", Unsupported: "UnsupportedValue", RefNotFound: "RefNotFound", Conflict: "Conflicted", ErrorKind(99): "Invalid",
	} {
		if got := kind.String(); got != want {
			t.Errorf("kind %d is %q, want %q", int(kind), got, want)
		}
	}
	if (FieldError{}).Kind != Invalid {
		t.Error("an error of no kind is not Invalid")
	}
}

func TestDurationsAreWrittenShort(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 1: "1ns", 500 * time.Millisecond: "500ms", time.Second: "1s", 10 * time.Second: "10s", 20 * time.Second: "20s",
		time.Minute: "1m", 10 * time.Minute: "10m", 90 * time.Second: "1m30s", 15 * time.Minute: "15m", time.Hour: "1h", 10 * time.Hour: "10h",
		time.Hour + time.Second: "1h0m1s", 90 * time.Minute: "1h30m", 100 * time.Minute: "1h40m", 24 * time.Hour: "24h", maxTTL: "1176h",
		time.Hour + 10*time.Second: "1h0m10s", -time.Hour: "-1h", -10 * time.Minute: "-10m",
	} {
		if got := short(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
	random := rand.New(rand.NewPCG(7, 8))
	for range 5000 {
		d := time.Duration(random.Int64N(int64(10000*time.Hour)) >> random.IntN(60))
		if random.IntN(2) == 0 {
			d = d.Round([]time.Duration{time.Second, time.Minute, time.Hour}[random.IntN(3)])
		}
		if back, err := time.ParseDuration(short(d)); err != nil || back != d {
			t.Fatalf("%s is written %q, which is %s, %v", d, short(d), back, err)
		}
	}
}

func TestChoicesAreListedAsPeopleDo(t *testing.T) {
	t.Parallel()
	for want, values := range map[string][]string{
		"a": {"a"}, "a or b": {"a", "b"}, "one of a, b, c": {"a", "b", "c"},
	} {
		if got := list(values); got != want {
			t.Errorf("%q: %q, want %q", values, got, want)
		}
	}
}

func TestDidYouMeanOffersTheNearestOfThoseThatAreNear(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		value string
		from  []string
		want  string
	}{
		{"prefecth", []string{"prefetch", "prefetchBytes"}, "prefetch"},
		{"prefetchbytes", []string{"prefetch", "prefetchBytes"}, "prefetchBytes"},
		{"MAXINTERVAL", []string{"baseInterval", "maxInterval"}, "maxInterval"},
		{"exat", []string{"exact", "exit"}, "exact"}, // both differ by one: the first
		{"ab", []string{"abc", "a"}, ""},             // a third of two letters is none
		{"abc", []string{"abd"}, "abd"},              // of three, one may differ
		{"abcdef", []string{"abcxyz"}, ""},           // three of six is too much
		{"abcdef", []string{"abcdxy"}, "abcdxy"},     // two are not
		{"topic", nil, ""},
	} {
		want := test.want
		if want != "" {
			want = ` (did you mean "` + want + `"?)`
		}
		if got := DidYouMean(test.value, test.from); got != want {
			t.Errorf("%q of %q: %q, want %q", test.value, test.from, got, want)
		}
	}
}

func FuzzDistance(f *testing.F) {
	f.Add("weight", "wieght")
	f.Add("", "abc")
	f.Add("ab", "ba")
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a) > 60 || len(b) > 60 {
			return
		}
		d := distance(a, b)
		if back := distance(b, a); back != d {
			t.Errorf("from %q to %q it is %d, back %d", a, b, d, back)
		}
		if (d == 0) != (a == b) || d > max(len(a), len(b)) || d < max(len(a), len(b))-min(len(a), len(b)) {
			t.Errorf("from %q to %q it is %d", a, b, d)
		}
		if longer := distance(a+"x", b+"x"); longer > d {
			t.Errorf("from %q to %q it is %d, with the same end %d", a, b, d, longer)
		}
		if len(a) > 1 && a[0] != a[1] {
			if swapped := distance(string([]byte{a[1], a[0]})+a[2:], a); swapped != 1 {
				t.Errorf("a swap at the beginning of %q costs %d", a, swapped)
			}
		}
		if got := DidYouMean(a, []string{b}); (got != "") != (a != "" && b != "" && distance(strings.ToLower(a), strings.ToLower(b)) <= len(a)/3) {
			t.Errorf("for %q it offers %q", a, got)
		}
	})
}
