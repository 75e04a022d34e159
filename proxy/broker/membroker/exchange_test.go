package membroker

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/warrenmesh/warren/proxy/broker/membroker/store"
)

// topicPattern translates a binding key into a regular expression, an independent
// way to say what AMQP 0-9-1 section 3.1.3.3 says. Words are put in front of a dot.
func topicPattern(pattern string) *regexp.Regexp {
	var b strings.Builder
	for word := range strings.SplitSeq(pattern, ".") {
		switch word {
		case "*":
			b.WriteString(`[^.]*\.`)
		case "#":
			b.WriteString(`([^.]*\.)*`)
		default:
			b.WriteString(regexp.QuoteMeta(word) + `\.`)
		}
	}
	return regexp.MustCompile(`(?s)\A` + b.String() + `\z`)
}

func FuzzMatchTopic(f *testing.F) {
	for _, seed := range [][2]string{
		{"a.b", "a.b"}, {"a.*", "a.b"}, {"a.#", "a"}, {"#", "a.b.c"}, {"#.c", "a.b.c"}, {"*.#.*", "a.b"},
		{"#.#", "a"}, {"a.#.b.#.c", "a.x.b.c"}, {"a..b", "a..b"}, {"*", "a"}, {"a", ""}, {"#.a.#.a", "a.a"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, key string) {
		if !utf8.ValidString(pattern) || !utf8.ValidString(key) {
			t.Skip("the reference knows text only")
		}
		if len(pattern) > 40 || len(key) > 40 || pattern == "" || key == "" {
			t.Skip("longer says no more; what is empty has no words")
		}
		x := &exchange{kind: "topic"}
		x.bind(binding{queue: &store.Queue{}, key: pattern})
		got := x.matches(&x.bindings[0], key)
		if want := topicPattern(pattern).MatchString(key + "."); got != want {
			t.Errorf("pattern %q and key %q: match is %t, want %t", pattern, key, got, want)
		}
	})
}

func TestEmptyKeyHasNoWords(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]bool{"#": true, "*": false, "a": false, "#.#": true, "": true} {
		x := &exchange{kind: "topic"}
		x.bind(binding{queue: &store.Queue{}, key: pattern})
		if got := x.matches(&x.bindings[0], ""); got != want {
			t.Errorf("pattern %q and the empty key: match is %t, want %t", pattern, got, want)
		}
	}
}
