package metrics

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// sample is one line of a scrape.
type sample struct {
	name     string // as in queries, with the suffix _bucket, _total and the like
	kind     string // type of its family: counter, gauge, histogram
	labels   map[string]string
	value    float64
	exemplar map[string]string // labels of the exemplar; nil without one
}

type samples []sample

var (
	typeLine   = regexp.MustCompile(`^# TYPE (\S+) (\S+)$`)
	sampleLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*?)\})? (\S+)(?: # \{(.*?)\} \S+ \S+)?$`)
	label      = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"`)
)

// parse reads the parts of OpenMetrics that Warren writes.
func parse(text string) (samples, error) {
	var all samples
	kind := ""
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if lines[len(lines)-1] != "# EOF" {
		return nil, fmt.Errorf("the scrape does not end with # EOF: %q", lines[len(lines)-1])
	}
	for _, line := range lines {
		if m := typeLine.FindStringSubmatch(line); m != nil {
			kind = m[2]
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("line %q is no sample", line)
		}
		value, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			return nil, fmt.Errorf("line %q: %w", line, err)
		}
		s := sample{name: m[1], kind: kind, labels: labelsOf(m[2]), value: value}
		if m[4] != "" {
			s.exemplar = labelsOf(m[4])
		}
		all = append(all, s)
	}
	return all, nil
}

func labelsOf(text string) map[string]string {
	out := map[string]string{}
	for _, m := range label.FindAllStringSubmatch(text, -1) {
		if !strings.HasPrefix(m[1], "otel_scope_") {
			out[m[1]] = m[2]
		}
	}
	return out
}

// of returns the samples with a name and with all given labels.
func (all samples) of(name string, labels map[string]string) samples {
	return slices.DeleteFunc(slices.Clone(all), func(s sample) bool {
		if s.name != name {
			return true
		}
		for k, v := range labels {
			if s.labels[k] != v {
				return true
			}
		}
		return false
	})
}

// sum adds up the values.
func (all samples) sum() float64 {
	total := 0.0
	for _, s := range all {
		total += s.value
	}
	return total
}

// labelNames lists the labels of all samples with a name, sorted.
func (all samples) labelNames(name string) []string {
	set := map[string]bool{}
	for _, s := range all.of(name, nil) {
		for k := range s.labels {
			set[k] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// names maps every name that can be queried to its labels.
func (all samples) names() map[string]map[string]bool {
	out := map[string]map[string]bool{}
	for _, s := range all {
		if out[s.name] == nil {
			out[s.name] = map[string]bool{}
		}
		for k := range s.labels {
			out[s.name][k] = true
		}
	}
	return out
}

func TestScrapesAreParsedWhole(t *testing.T) {
	t.Parallel()
	got, err := parse("# TYPE a_seconds histogram\n" +
		`a_seconds_bucket{x="1 \"2\"",otel_scope_name="s",le="0.5"} 3 # {trace_id="ab",span_id="cd"} 0.1 1.5e+09` + "\nb 2.0\n# EOF\n")
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	if s := got[0]; s.name != "a_seconds_bucket" || s.kind != "histogram" || s.value != 3 || s.labels["le"] != "0.5" || s.labels["x"] != `1 \"2\"` ||
		len(s.labels) != 2 || s.exemplar["trace_id"] != "ab" {
		t.Errorf("sample %+v", s)
	}
	for _, text := range []string{"a 1\n", "a{\n# EOF\n", "a one\n# EOF\n"} {
		if _, err := parse(text); err == nil {
			t.Errorf("%q was parsed", text)
		}
	}
}
