package tracing

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// environment reads OTEL_* variables and collects their errors, each of which names
// its variable.
type environment struct {
	get  func(string) string
	errs []error
}

// first returns the value of the first variable that is set, and its name. The
// specification wants an empty value to count as unset.
func (e *environment) first(names ...string) (value, name string) {
	for _, name := range names {
		if v := strings.TrimSpace(e.get(name)); v != "" {
			return v, name
		}
	}
	return "", names[0]
}

func (e *environment) fail(name, value, want string) {
	e.errs = append(e.errs, fmt.Errorf("read %s=%q: want %s", name, value, want))
}

// flag is true only for "true" in any case, as the specification says.
func (e *environment) flag(names ...string) bool {
	value, name := e.first(names...)
	switch strings.ToLower(value) {
	case "true":
		return true
	case "", "false":
		return false
	}
	e.fail(name, value, "true or false")
	return false
}

// millis reads a duration in milliseconds, at least 1: a batch every 0 ms is a busy loop.
func (e *environment) millis(otherwise time.Duration, names ...string) time.Duration {
	value, name := e.first(names...)
	if value == "" {
		return otherwise
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 {
		e.fail(name, value, "milliseconds, a whole number of at least 1")
		return otherwise
	}
	return time.Duration(n) * time.Millisecond
}

// count reads a number of at least 1.
func (e *environment) count(otherwise int, name string) int {
	value, _ := e.first(name)
	if value == "" {
		return otherwise
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 {
		e.fail(name, value, "a whole number of at least 1")
		return otherwise
	}
	return n
}

// list reads a comma-separated list without its empty members.
func (e *environment) list(name string) []string {
	var members []string
	for member := range strings.SplitSeq(e.get(name), ",") {
		if member = strings.TrimSpace(member); member != "" {
			members = append(members, member)
		}
	}
	return members
}

// pair is one member of a list of key=value.
type pair struct{ key, value string }

// pairs reads key=value,key=value with percent-encoded values, in order.
func (e *environment) pairs(names ...string) []pair {
	value, name := e.first(names...)
	var pairs []pair
	for member := range strings.SplitSeq(value, ",") {
		if strings.TrimSpace(member) == "" {
			continue
		}
		k, v, ok := strings.Cut(member, "=")
		decoded, err := url.PathUnescape(strings.TrimSpace(v))
		if k = strings.TrimSpace(k); !ok || k == "" || err != nil {
			// The value may be a secret; it stays out of the message.
			e.errs = append(e.errs, fmt.Errorf("read %s: want key=value,key=value with percent-encoded values", name))
			return nil
		}
		pairs = append(pairs, pair{k, decoded})
	}
	return pairs
}
