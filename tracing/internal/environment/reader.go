package environment

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Reader reads OTEL_* variables and collects their errors, each of which names its
// variable. What a method returns for a variable that cannot be understood is of no use:
// ask Err after the last read. A Reader belongs to one goroutine.
type Reader struct {
	get  func(string) string
	errs []error
}

// New returns a Reader of the variables that get returns; "" is a variable that is not
// set.
func New(get func(string) string) *Reader { return &Reader{get: get} }

// Err returns the errors of all that was read, joined; nil when there is none.
func (r *Reader) Err() error { return errors.Join(r.errs...) }

// Disabled reads OTEL_SDK_DISABLED.
func (r *Reader) Disabled() bool { return r.flag("OTEL_SDK_DISABLED") }

// first returns the value of the first variable that is set, and its name. The
// specification wants an empty value to count as unset.
func (r *Reader) first(names ...string) (value, name string) {
	for _, name := range names {
		if v := strings.TrimSpace(r.get(name)); v != "" {
			return v, name
		}
	}
	return "", names[0]
}

func (r *Reader) fail(name, value, want string) {
	r.errs = append(r.errs, fmt.Errorf("read %s=%q: want %s", name, value, want))
}

// flag is true only for "true" in any case, as the specification says.
func (r *Reader) flag(names ...string) bool {
	value, name := r.first(names...)
	switch strings.ToLower(value) {
	case "true":
		return true
	case "", "false":
		return false
	}
	r.fail(name, value, "true or false")
	return false
}

// millis reads a duration in milliseconds, at least 1: a batch every 0 ms is a busy loop.
func (r *Reader) millis(otherwise time.Duration, names ...string) time.Duration {
	value, name := r.first(names...)
	if value == "" {
		return otherwise
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 {
		r.fail(name, value, "milliseconds, a whole number of at least 1")
		return otherwise
	}
	return time.Duration(n) * time.Millisecond
}

// count reads a number of at least 1.
func (r *Reader) count(otherwise int, name string) int {
	value, _ := r.first(name)
	if value == "" {
		return otherwise
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 {
		r.fail(name, value, "a whole number of at least 1")
		return otherwise
	}
	return n
}

// list reads a comma-separated list without its empty members.
func (r *Reader) list(name string) []string {
	var members []string
	for member := range strings.SplitSeq(r.get(name), ",") {
		if member = strings.TrimSpace(member); member != "" {
			members = append(members, member)
		}
	}
	return members
}

// pair is one member of a list of key=value.
type pair struct{ key, value string }

// pairs reads key=value,key=value with percent-encoded values, in order.
func (r *Reader) pairs(names ...string) []pair {
	value, name := r.first(names...)
	var pairs []pair
	for member := range strings.SplitSeq(value, ",") {
		if strings.TrimSpace(member) == "" {
			continue
		}
		k, v, ok := strings.Cut(member, "=")
		decoded, err := url.PathUnescape(strings.TrimSpace(v))
		if k = strings.TrimSpace(k); !ok || k == "" || err != nil {
			// The value may be a secret; it stays out of the message.
			r.errs = append(r.errs, fmt.Errorf("read %s: want key=value,key=value with percent-encoded values", name))
			return nil
		}
		pairs = append(pairs, pair{k, decoded})
	}
	return pairs
}
