package docs

import (
	"regexp"
	"strings"
)

// volatile lists the parts of an output that differ from run to run, and their
// replacements. Both sides are replaced before they are compared.
var volatile = []struct {
	what    *regexp.Regexp
	replace string
}{
	{regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`), "UUID"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "TIME"},
	{regexp.MustCompile(`\b\d\d:\d\d:\d\d\.\d{3}\b`), "CLOCK"},
	{regexp.MustCompile(`\b00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]\b`), "TRACEPARENT"},
	// "in force for 1m30s", "published … in 13ms", "last heard 2s ago", the last column of warren status.
	{regexp.MustCompile(`\b(in|for|heard|,)(\s+)[0-9.]+[nµm]?s\b`), "$1$2 DURATION"},
	{regexp.MustCompile(`(\d/\d\s+)[0-9.]+[nµm]?s\b`), "$1 DURATION"},
	// The first column of warren deadletter list.
	{regexp.MustCompile(`(?m)^\d+s(\s+(?:rejected|attempts-exhausted)\b)`), "AGE$1"},
	// Versions of a configuration and of a resource.
	{regexp.MustCompile(`\b[0-9a-f]{12}\b`), "VERSION"},
	{regexp.MustCompile(`\bcontrol plane [0-9a-z.-]+\n`), "control plane BUILD\n"},
	{regexp.MustCompile(`~[a-z0-9][a-z0-9.-]*`), "~HOST"},
	{regexp.MustCompile(`"token": "[0-9-]+"`), `"token": "TOKEN"`},
	{regexp.MustCompile(`/tmp/warren-dev-\d+`), "/tmp/warren-dev-N"},
}

var space = regexp.MustCompile(`\s+`)

// canonical is text without the parts that do not count.
func canonical(text string) string {
	for _, v := range volatile {
		text = v.what.ReplaceAllString(text, v.replace)
	}
	return space.ReplaceAllString(text, "")
}

// matches reports whether got is the output that a page shows.
func matches(want, got string) bool {
	return pattern(want, `\z`).MatchString(canonical(got))
}

// begins reports whether got begins with what the page shows.
func begins(want, got string) bool {
	return pattern(want, ``).MatchString(canonical(got))
}

func pattern(want, end string) *regexp.Regexp {
	parts := strings.Split(canonical(want), "…")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(`(?s)\A` + strings.Join(parts, ".*") + end)
}
