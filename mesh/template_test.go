package mesh_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/warrenmesh/warren/mesh"
)

func TestTemplateSegments(t *testing.T) {
	t.Parallel()
	literal := func(s string) mesh.Segment { return mesh.Segment{Literal: s} }
	attribute := func(s string) mesh.Segment { return mesh.Segment{Attribute: s} }
	for text, want := range map[mesh.Template][]mesh.Segment{
		"":                 nil,
		"orders":           {literal("orders")},
		"{type}":           {attribute("type")},
		"{type}{subject}":  {attribute("type"), attribute("subject")},
		"eu.{type}.v1":     {literal("eu."), attribute("type"), literal(".v1")},
		"{0}":              {attribute("0")},
		"{data1}":          {attribute("data1")},
		"#.*. \x00 größer": {literal("#.*. \x00 größer")},
	} {
		if got, err := text.Segments(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %+v, %v; want %+v", string(text), got, err, want)
		}
	}
}

func TestAWrongTemplateNamesItselfAndTheMistake(t *testing.T) {
	t.Parallel()
	for text, want := range map[mesh.Template]string{
		"{":           "'{' without '}'",
		"a.{type":     "'{' without '}'",
		"}":           "'}' without '{'",
		"a}b":         "'}' without '{'",
		"{type}}":     "'}' without '{'",
		"{}":          `"" is not an attribute name`,
		"{{type}}":    `"{type" is not an attribute name`,
		"{ type}":     `" type" is not an attribute name`,
		"{Type}":      `"Type" is not an attribute name`,
		"{my_key}":    `"my_key" is not an attribute name`,
		"{größe}":     `"größe" is not an attribute name`,
		"{data}":      `"data" is not an attribute name`,
		"{a}{b}{c-d}": `"c-d" is not an attribute name`,
	} {
		got, err := text.Segments()
		if err == nil || got != nil {
			t.Errorf("%q: %+v, %v", string(text), got, err)
			continue
		}
		if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `template "`+string(text)+`"`) {
			t.Errorf("%q: the error is %q, want the template and %q in it", string(text), err, want)
		}
	}
}

func FuzzTheSegmentsOfATemplateAreItsText(f *testing.F) {
	for _, text := range []string{"", "a", "{type}", "a{b}c{d}", "{a}{b}", "}", "{", "{}", "{A}", "x{data}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		segments, err := mesh.Template(text).Segments()
		if err != nil {
			if !strings.ContainsAny(text, "{}") {
				t.Errorf("%q has no placeholder and is refused: %v", text, err)
			}
			return
		}
		var b strings.Builder
		for i, s := range segments {
			switch {
			case s.Literal != "" && s.Attribute == "":
				if i > 0 && segments[i-1].Attribute == "" {
					t.Errorf("%q: two pieces of text in a row: %+v", text, segments)
				}
				b.WriteString(s.Literal)
			case s.Literal == "" && s.Attribute != "":
				b.WriteString("{" + s.Attribute + "}")
			default:
				t.Errorf("%q: a segment is both or neither: %+v", text, s)
			}
		}
		if b.String() != text {
			t.Errorf("%q became %q", text, b.String())
		}
	})
}
