package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

// Problem is one problem as "file:line: field: message", as far as known.
func Problem(file string, line int, field, message string) string {
	var b strings.Builder
	if file != "" {
		b.WriteString(file)
		if line > 0 {
			fmt.Fprintf(&b, ":%d", line)
		}
		b.WriteString(": ")
	}
	if field != "" {
		b.WriteString(field + ": ")
	}
	return b.String() + message
}

// KindOrder is the order things depend on each other in.
var KindOrder = []string{
	v1alpha1.KindEventBroker, v1alpha1.KindEventTopic, v1alpha1.KindEventRoute,
	v1alpha1.KindEventSubscription, v1alpha1.KindEventPolicy,
}

// Short cuts a content hash to what people compare.
func Short(version string) string {
	return version[:min(len(version), 12)]
}

// Age rounds a duration to what matters: "45s", "12m", "3h5m", "4d2h".
func Age(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
	}
}

// Plural counts: "1 object", "2 objects".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Events counts events: "1 event", "1,000 events".
func Events(n int64) string {
	if n == 1 {
		return "1 event"
	}
	return terminal.Thousands(n) + " events"
}

// Labels is a set of labels as "app=billing,zone=a", in the order of their keys.
func Labels(labels map[string]string) string {
	var pairs []string
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, k+"="+labels[k])
	}
	return strings.Join(pairs, ",")
}

// Excerpt returns the beginning of a payload on one line, in at most width
// characters; bytes that are no text are only counted.
func Excerpt(data []byte, width int) string {
	if !utf8.Valid(data) {
		return fmt.Sprintf("<%d bytes>", len(data))
	}
	// A prefix is enough, and a payload may be long; a character has up to 4 bytes.
	text := strings.ToValidUTF8(string(data[:min(len(data), 4*width+4)]), "")
	runes := []rune(strings.Map(func(r rune) rune {
		if !terminal.IsPrintable(r) {
			return ' '
		}
		return r
	}, text))
	if len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return string(runes)
}

// OrDash is s, or a dash for nothing.
func OrDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
