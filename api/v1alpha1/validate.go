package v1alpha1

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Bounds of values.
const (
	// MaxEventBytes is the upper bound of publish.maxEventBytes: RabbitMQ's default
	// limit of a message.
	MaxEventBytes = 16 << 20
	// MinAckDeadline and MaxAckDeadline bound ackDeadline. The upper bound stays well
	// below RabbitMQ's consumer_timeout of 30 minutes.
	MinAckDeadline = time.Second
	MaxAckDeadline = 15 * time.Minute
	// MaxAttempts bounds the attempts of every retry policy.
	MaxAttempts = 100
	// MaxWeight bounds one weight, as in the Gateway API.
	MaxWeight = 1_000_000
	// MaxPort is the largest TCP port.
	MaxPort = 65535
	// MaxPrefetch is the largest prefetch that AMQP's basic.qos can carry.
	MaxPrefetch = 65535
	// MaxPartitions bounds partitions.count: each ordered subscription has a queue for
	// each partition.
	MaxPartitions = 1024
	// MaxHeaders bounds the number of entries of publish.headers.
	MaxHeaders = 100
	// MinPrefetchBytes and MaxPrefetchBytes bound queue.prefetchBytes.
	MinPrefetchBytes = 1 << 10
	MaxPrefetchBytes = 1 << 40
	// MinMaxElapsed and MaxMaxElapsed bound retry.maxElapsed. An event that holds up
	// its key is an unsettled delivery, which RabbitMQ takes back after its
	// consumer_timeout.
	MinMaxElapsed = time.Second
	MaxMaxElapsed = 10 * time.Minute
	// MinDedupeWindow and MaxDedupeWindow bound dedupe.window, MaxDedupeEntries
	// bounds dedupe.maxEntries.
	MinDedupeWindow  = time.Second
	MaxDedupeWindow  = 24 * time.Hour
	MaxDedupeEntries = 10_000_000

	maxPriority     = 9
	maxNodePriority = 128
	maxHeartbeat    = 10 * time.Minute
	// maxTTL in milliseconds fits into the 32 bits that RabbitMQ has for it.
	maxTTL = 49 * 24 * time.Hour
)

// Validate returns all errors of one object that can be found without looking at other
// objects; nil when there are none. The object must have been through Default. A
// feature of a later version is always refused, with a message that contains "not
// supported yet".
func Validate(obj Object) []FieldError {
	c := &checker{}
	c.meta(obj)
	switch o := obj.(type) {
	case *EventBroker:
		c.broker(&o.Spec, "spec")
	case *EventTopic:
		c.topic(&o.Spec, "spec")
	case *EventRoute:
		c.route(o, "spec")
	case *EventSubscription:
		c.subscription(&o.Spec, "spec")
	case *EventPolicy:
		c.unsupported("kind", "kind EventPolicy")
	}
	return c.errs
}

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

func (c *checker) meta(obj Object) {
	meta := Path("metadata")
	if obj.GetName() == "" {
		c.invalid(meta.Child("name"), "is missing: give the object a name, such as \"orders\"")
	} else {
		c.name(meta.Child("name"), obj.GetName())
	}
	c.namespace(meta.Child("namespace"), obj.GetNamespace())
	// Kubernetes has this limit: a file that passes here is accepted there.
	if err := apivalidation.ValidateAnnotationsSize(obj.GetAnnotations()); err != nil {
		c.invalid(meta.Child("annotations"), "have more than %d KiB together: shorten them, or keep such data elsewhere", apivalidation.TotalAnnotationSizeLimitB>>10)
	}
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

// maxFilterDepth bounds the nesting of filters, so that compiling and matching them may
// recurse.
const maxFilterDepth = 16

func (c *checker) filters(p Path, filters []Filter, depth int) {
	for i := range filters {
		c.filter(p.Index(i), &filters[i], depth)
	}
}

// filter checks one filter. It must have exactly one dialect, and that must not be
// empty.
func (c *checker) filter(p Path, f *Filter, depth int) {
	if depth > maxFilterDepth {
		c.invalid(p, "is nested deeper than %d filters: flatten it", maxFilterDepth)
		return
	}
	if f.CESQL != "" {
		c.unsupported(p.Child("cesql"), "the cesql dialect")
	}
	dialects := f.dialects()
	if len(dialects) != 1 {
		found := "none is"
		if len(dialects) > 1 {
			found = strings.Join(dialects, " and ") + " are"
		}
		c.invalid(p, "must have exactly one of exact, prefix, suffix, all, any, not, but %s set: combine filters with all or any", found)
	}
	c.attributes(p.Child("exact"), f.Exact)
	c.attributes(p.Child("prefix"), f.Prefix)
	c.attributes(p.Child("suffix"), f.Suffix)
	c.filterList(p.Child("all"), f.All, depth)
	c.filterList(p.Child("any"), f.Any, depth)
	if f.Not != nil {
		c.filter(p.Child("not"), f.Not, depth+1)
	}
}

// dialects names the dialects that are set, empty maps and lists included.
func (f *Filter) dialects() []string {
	var set []string
	for _, d := range []struct {
		name string
		set  bool
	}{
		{"exact", f.Exact != nil}, {"prefix", f.Prefix != nil}, {"suffix", f.Suffix != nil},
		{"all", f.All != nil}, {"any", f.Any != nil}, {"not", f.Not != nil}, {"cesql", f.CESQL != ""},
	} {
		if d.set {
			set = append(set, d.name)
		}
	}
	return set
}

func (c *checker) filterList(p Path, filters []Filter, depth int) {
	if filters != nil && len(filters) == 0 {
		c.invalid(p, "is an empty list: give it at least one filter")
	}
	c.filters(p, filters, depth+1)
}

func (c *checker) attributes(p Path, m map[string]string) {
	if m != nil && len(m) == 0 {
		c.invalid(p, "is empty: name at least one attribute, such as {type: com.shop.order.placed}")
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		c.attribute(p.Key(name), name)
		if m[name] == "" {
			c.invalid(p.Key(name), "is empty: give the text to compare with")
		}
	}
}

func (c *checker) attribute(p Path, name string) {
	if !validAttribute(name) {
		c.invalid(p, "%q is not the name of a CloudEvents attribute: use a-z and 0-9 only, and not \"data\"", name)
	}
}

func validAttribute(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return name != "" && name != "data"
}
