package event

import (
	"fmt"
	"mime"
	"net/url"
	"strings"
	"unicode/utf8"
)

// FieldError says which attribute of an event is wrong and why.
type FieldError struct {
	Field  string // attribute name, or "data"
	Reason string // what a valid value looks like
}

// Error implements error.
func (e *FieldError) Error() string { return fmt.Sprintf("attribute %q: %s", e.Field, e.Reason) }

// Validate checks the event against CloudEvents 1.0.2 section "Context Attributes" and
// returns the first problem as *FieldError. What the specification defines is held to
// it. Extensions are the producer's: an empty one is valid. Timestamps must be of the
// years 1 to 9999 in UTC, and there may be MaxAttributes besides the required ones.
func (e *Event) Validate() error {
	if e.ID == "" {
		return &FieldError{AttrID, "must not be empty"}
	}
	if e.Source == "" {
		return &FieldError{AttrSource, "must not be empty"}
	}
	if e.Type == "" {
		return &FieldError{AttrType, "must not be empty"}
	}
	if err := checkText(AttrID, e.ID); err != nil {
		return err
	}
	if err := checkText(AttrType, e.Type); err != nil {
		return err
	}
	if err := checkURIRef(AttrSource, e.Source); err != nil {
		return err
	}
	if len(e.Attrs) > MaxAttributes {
		return errTooMany
	}
	for i := range e.Attrs {
		if err := e.Attrs[i].validate(); err != nil {
			return err
		}
	}
	return nil
}

func (a *Attr) validate() error {
	if err := CheckName(a.Name); err != nil {
		return err
	}
	if err := a.Value.fits(a.Name); err != nil {
		return err
	}
	if err := a.validateKnown(); err != nil {
		return err
	}
	switch a.Value.kind {
	case KindString:
		return checkText(a.Name, a.Value.text)
	case KindURI, KindURIRef:
		return checkURIRef(a.Name, a.Value.text)
	case KindTimestamp:
		if !InRange(a.Value.time) {
			return &FieldError{a.Name, "must be a time within the years 1 to 9999 of UTC"}
		}
	}
	return nil
}

// validateKnown checks an attribute whose name the specification or an extension
// defines.
func (a *Attr) validateKnown() error {
	text := a.Value.text
	switch a.Name {
	case AttrSubject:
		if text == "" {
			return &FieldError{a.Name, "must not be empty when it is set"}
		}
	case AttrDataContentType:
		if media, _, err := mime.ParseMediaType(text); err != nil || !strings.Contains(media, "/") {
			return &FieldError{a.Name, "must be a media type such as application/json"}
		}
	case AttrDataSchema:
		if err := checkURIRef(a.Name, text); err != nil || text == "" {
			return &FieldError{a.Name, "must be a non-empty URI"}
		}
	case AttrTime:
		if a.Value.kind != KindTimestamp {
			return &FieldError{a.Name, "must be an RFC 3339 timestamp"}
		}
	case AttrExpiryTime: // Warren acts on it, so a value that it cannot read is refused
		if a.Value.kind != KindTimestamp && (a.Value.kind != KindString || text != "") {
			return &FieldError{a.Name, "must be an RFC 3339 timestamp"}
		}
	}
	return nil
}

// CheckName reports whether name may name an attribute: one or more of a-z and
// 0-9, and not "data". The error is a *FieldError.
func CheckName(name string) error {
	if name == "" || name == "data" {
		return &FieldError{name, `attribute names are non-empty and never "data"`}
	}
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return &FieldError{name, "attribute names have only a-z and 0-9"}
		}
	}
	return nil
}

func checkText(field, s string) error {
	if !utf8.ValidString(s) {
		return &FieldError{field, "must be valid UTF-8"}
	}
	for _, r := range s {
		if r < 0x20 || (r >= 0x7f && r <= 0x9f) {
			return &FieldError{field, fmt.Sprintf("must not contain the control character %U", r)}
		}
	}
	return nil
}

func checkURIRef(field, s string) error {
	if plainPath(s) {
		return nil
	}
	if err := checkText(field, s); err != nil {
		return err
	}
	if _, err := url.Parse(s); err != nil {
		return &FieldError{field, "must be a URI-reference"}
	}
	return nil
}

// plainPath reports whether s is a path of unreserved characters (RFC 3986, section
// 2.3), as most sources are: parsing would find nothing and costs an allocation.
func plainPath(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '.', c == '_', c == '~', c == '/':
		default:
			return false
		}
	}
	return true
}
