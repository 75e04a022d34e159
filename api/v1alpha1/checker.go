package v1alpha1

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxShortString is the length limit of names in AMQP 0-9-1 (shortstr), in bytes.
const maxShortString = 255

// checker collects the errors of one object.
type checker struct{ errs []FieldError }

func (c *checker) invalid(p Path, format string, args ...any) {
	c.errs = append(c.errs, FieldError{Path: string(p), Message: fmt.Sprintf(format, args...), Kind: Invalid})
}

func (c *checker) unsupported(p Path, what string) {
	c.errs = append(c.errs, FieldError{Path: string(p), Message: what + " is not supported yet: remove it", Kind: Unsupported})
}

func (c *checker) name(p Path, value string) {
	if len(validation.IsDNS1123Subdomain(value)) > 0 {
		c.invalid(p, "is %q: want an RFC 1123 name of a-z, 0-9, '-' and '.', with a letter or digit at both ends, at most 253 characters", value)
	}
}

func (c *checker) namespace(p Path, value string) {
	if len(validation.IsDNS1123Label(value)) > 0 {
		c.invalid(p, "is %q: want an RFC 1123 label of a-z, 0-9 and '-', with a letter or digit at both ends, at most 63 characters", value)
	}
}

func (c *checker) ref(p Path, r LocalRef, kind string) {
	c.oneOf(p.Child("kind"), r.Kind, kind)
	if r.Name == "" {
		c.invalid(p.Child("name"), "is missing: name the %s", kind)
	} else {
		c.name(p.Child("name"), r.Name)
	}
	c.namespace(p.Child("namespace"), r.Namespace)
}

func (c *checker) oneOf(p Path, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		c.invalid(p, "is %q: want %s%s", value, list(allowed), DidYouMean(value, allowed))
	}
}

func (c *checker) between(p Path, value, low, high int64) {
	if value < low || value > high {
		c.invalid(p, "is %d: want %d to %d", value, low, high)
	}
}

func (c *checker) positive(p Path, d *Duration) {
	if d != nil && d.Duration <= 0 {
		c.invalid(p, "is %s: want a duration longer than 0, such as \"2s\"", d.Duration)
	}
}

func (c *checker) attempts(p Path, n *int32) {
	if n != nil && (*n < 1 || *n > MaxAttempts) {
		c.invalid(p, "is %d: want 1 to %d, the first attempt included", *n, MaxAttempts)
	}
}

func (c *checker) backoff(p Path, b *Backoff) {
	if b == nil {
		return
	}
	// Envoy's retry_back_off counts in milliseconds.
	if d := b.BaseInterval; d != nil && d.Duration < time.Millisecond {
		c.invalid(p.Child("baseInterval"), "is %s: want at least 1ms", d.Duration)
	}
	if b.BaseInterval != nil && b.MaxInterval != nil && b.MaxInterval.Duration < b.BaseInterval.Duration {
		c.invalid(p.Child("maxInterval"), "is %s, shorter than baseInterval %s: want at least that", b.MaxInterval.Duration, b.BaseInterval.Duration)
	}
}

// amqpName checks the name of an exchange or a queue.
func (c *checker) amqpName(p Path, value, what string) {
	switch {
	case value == "":
		c.invalid(p, "is empty: give the %s a name", what)
	case strings.HasPrefix(value, "amq."):
		c.invalid(p, "is %q: names that start with \"amq.\" belong to the broker, choose another", value)
	default:
		c.shortString(p, value)
	}
}

func (c *checker) shortString(p Path, value string) {
	if len(value) > maxShortString {
		c.invalid(p, "has %d bytes: AMQP allows %d", len(value), maxShortString)
	}
	if strings.ContainsFunc(value, unicode.IsControl) {
		c.invalid(p, "is %q: it must not contain control characters", value)
	}
}

func (c *checker) selector(p Path, s LabelSelector) {
	if emptySelector(s) {
		c.invalid(p, "is empty: say which workloads receive the events, such as {matchLabels: {app: billing}}")
		return
	}
	opts := metav1validation.LabelSelectorValidationOptions{}
	for _, err := range metav1validation.ValidateLabelSelector(&s, opts, field.NewPath(string(p))) {
		c.errs = append(c.errs, FieldError{Path: err.Field, Message: err.ErrorBody(), Kind: Invalid})
	}
}

// list writes "a", "a or b" or "one of a, b, c".
func list(values []string) string {
	switch len(values) {
	case 1:
		return values[0]
	case 2:
		return values[0] + " or " + values[1]
	default:
		return "one of " + strings.Join(values, ", ")
	}
}

// short writes a duration without the zero minutes and seconds of
// time.Duration.String.
func short(d time.Duration) string {
	s := strings.TrimSuffix(d.String(), "0s")
	if s == "" || s[len(s)-1] != 'm' {
		return d.String()
	}
	if t, ok := strings.CutSuffix(s, "h0m"); ok {
		return t + "h"
	}
	return s
}
