package schema

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Fact is one property of a field that a schema states beside the description.
type Fact struct {
	Name string // "Default", "Range", "Values", "Later"
	Text string
}

// Facts lists the facts of a field, as text for people.
func Facts(n *Node) []Fact {
	var facts []Fact
	add := func(name, text string) {
		if text != "" {
			facts = append(facts, Fact{name, text})
		}
	}
	add("Values", strings.Join(values(n), ", "))
	add("Default", defaultText(n))
	add("Range", rangeText(n))
	switch {
	case n.Unsupported:
		add("Later", "not supported yet, setting it is refused")
	case len(n.UnsupportedValues) > 0:
		add("Later", strings.Join(n.UnsupportedValues, " and ")+", not supported yet and refused")
	}
	return facts
}

// Doc is the description without the facts that Describe added.
func (n *Node) Doc() string { return strings.TrimSuffix(n.Description, factLine(n)) }

// Describe sets the description to doc followed by the facts. Editors show only the
// description.
func (n *Node) Describe(doc string) { n.Description = doc + factLine(n) }

func factLine(n *Node) string {
	var b strings.Builder
	for i, f := range Facts(n) {
		if i == 0 {
			b.WriteString("\n\n")
		} else {
			b.WriteByte(' ')
		}
		b.WriteString(f.Name + ": " + f.Text + ".")
	}
	return b.String()
}

// TypeName is a field's type as text for people: "duration", "list of string".
func TypeName(n *Node) string {
	switch {
	case n.Ref != "":
		return TypeName(Resolve(n))
	case n.Duration:
		return "duration"
	case n.Type == "array":
		return "list of " + TypeName(n.Items)
	case n.Type == "object" && n.Additional != nil && n.Additional.Node != nil:
		return "map of " + TypeName(n.Additional.Node)
	case n.Type == "":
		return "any"
	default:
		return n.Type
	}
}

// values lists the values of an enumeration. A single value is no choice and is left
// out.
func values(n *Node) []string {
	if n.Type == "array" {
		n = n.Items
	}
	if len(n.Enum) > 1 {
		return n.Enum
	}
	return nil
}

func defaultText(n *Node) string {
	switch d := n.Default.(type) {
	case nil:
		return n.DefaultText
	case string:
		return d
	case []string:
		return strings.Join(d, ", ")
	case []any:
		texts := make([]string, len(d))
		for i := range d {
			texts[i] = fmt.Sprint(d[i])
		}
		return strings.Join(texts, ", ")
	default:
		text, _ := json.Marshal(d) // a number or a boolean
		return string(text)
	}
}

func rangeText(n *Node) string {
	low, high := n.Low, n.High
	if n.Minimum != nil {
		low = fmt.Sprint(*n.Minimum)
	}
	if n.Maximum != nil {
		high = fmt.Sprint(*n.Maximum)
	}
	switch {
	case low == "1ns" && high == "":
		return "longer than 0"
	case low != "" && high != "":
		return low + " to " + high
	case low != "":
		return "at least " + low
	default:
		return ""
	}
}
