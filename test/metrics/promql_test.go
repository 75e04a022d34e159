package metrics

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// query holds the metrics and the labels that a PromQL expression names.
type query struct {
	metrics []string
	labels  []string
}

var (
	variables = regexp.MustCompile(`\$\{?[a-zA-Z_]\w*(:\w+)?\}?`)
	tokens    = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|[a-zA-Z_:][a-zA-Z0-9_:]*|\d[\w.]*|[=!]~|[=!<>]=|\S`)
	word      = regexp.MustCompile(`^[a-zA-Z_:]`)
)

// Words of PromQL that are not followed by a parenthesis, and words that are followed
// by labels in parentheses.
var (
	operators = []string{"and", "or", "unless", "bool", "offset", "inf", "nan"}
	groupings = []string{"by", "without", "on", "ignoring", "group_left", "group_right"}
)

// ask parses an expression. It knows the parts of PromQL that the dashboard and the
// alerts use, and returns an error for anything else.
func ask(expr string) (query, error) {
	var q query
	// Grafana's variables are replaced: they stand for numbers, durations and strings.
	words := tokens.FindAllString(variables.ReplaceAllString(expr, "1"), -1)
	for i := 0; i < len(words); i++ {
		switch w := words[i]; {
		case slices.Contains(groupings, w):
			end, err := closing(words, i+1, "(", ")")
			if err != nil {
				return q, fmt.Errorf("%q: after %s: %w", expr, w, err)
			}
			for _, label := range words[i+2 : end] {
				if word.MatchString(label) {
					q.labels = append(q.labels, label)
				}
			}
			i = end
		case w == "{":
			end, err := closing(words, i, "{", "}")
			if err != nil {
				return q, fmt.Errorf("%q: %w", expr, err)
			}
			for j := i + 1; j < end; j++ {
				if word.MatchString(words[j]) {
					q.labels = append(q.labels, words[j])
				}
			}
			i = end
		case w == "[":
			end, err := closing(words, i, "[", "]")
			if err != nil {
				return q, fmt.Errorf("%q: %w", expr, err)
			}
			i = end
		case !word.MatchString(w), slices.Contains(operators, strings.ToLower(w)):
		case i+1 < len(words) && (words[i+1] == "(" || slices.Contains(groupings, words[i+1])):
			// Anything else is a function or an aggregation.
		default:
			q.metrics = append(q.metrics, w)
		}
	}
	if len(q.metrics) == 0 {
		return q, fmt.Errorf("%q asks for no metric", expr)
	}
	return q, nil
}

// closing finds the end of the bracket that opens at words[at].
func closing(words []string, at int, begin, end string) (int, error) {
	if at >= len(words) || words[at] != begin {
		return 0, fmt.Errorf("want %q", begin)
	}
	n := slices.Index(words[at:], end)
	if n < 0 {
		return 0, fmt.Errorf("no %q", end)
	}
	return at + n, nil
}

// check returns the metrics and labels of an expression that do not exist.
func (q query) check(names map[string]map[string]bool) []string {
	var wrong []string
	known := map[string]bool{}
	for _, label := range []string{"job", "instance", "namespace", "pod"} { // Prometheus adds the labels of the target
		known[label] = true
	}
	for _, name := range q.metrics {
		if names[name] == nil {
			wrong = append(wrong, "metric "+name)
		}
		for label := range names[name] {
			known[label] = true
		}
	}
	for _, label := range q.labels {
		if !known[label] {
			wrong = append(wrong, "label "+label)
		}
	}
	return wrong
}

func TestExpressionsAreTakenApart(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]string{
		`up`:                                  "[up] []",
		`sum by (job, x) (rate(a_total[5m]))`: "[a_total] [job x]",
		`sum(rate(a_total{job=~"$job", t!="{b}"}[$__rate_interval])) by (x) / on (x) group_left (y) b offset 5m`: "[a_total b] [job t x x y]",
		`histogram_quantile(0.99, sum by (le) (rate(a_bucket[1h]))) > 1 and absent(b == 1) or vector(0)`:         "[a_bucket b] [le]",
		`label_values(a, t)`: "[a t] []",
	} {
		got, err := ask(expr)
		if err != nil || fmt.Sprint(got.metrics, " ", got.labels) != want {
			t.Errorf("%s: %v %v, %v; want %s", expr, got.metrics, got.labels, err, want)
		}
	}
	for _, expr := range []string{`sum by job (a)`, `a{x="y"`, `rate(a[5m)`, `vector(0)`, ``} {
		if got, err := ask(expr); err == nil {
			t.Errorf("%s: %v", expr, got)
		}
	}
	there := map[string]map[string]bool{"a": {"x": true}}
	if wrong := (query{metrics: []string{"a", "b"}, labels: []string{"x", "y", "job"}}).check(there); fmt.Sprint(wrong) != "[metric b label y]" {
		t.Errorf("wrong: %v", wrong)
	}
}
