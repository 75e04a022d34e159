package clip

import "testing"

func TestACharacterIsKeptWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		most int
		want string
	}{
		{"", 0, ""}, {"abc", 3, "abc"}, {"abcd", 3, "abc"}, {"abc", 0, ""},
		{"aé", 3, "aé"}, {"aéb", 2, "a"}, {"\xff", 1, "\xff"}, {"\xffab", 2, "a"},
	} {
		if got := String(tt.text, tt.most); got != tt.want {
			t.Errorf("%q in %d bytes is %q, want %q", tt.text, tt.most, got, tt.want)
		}
	}
}
