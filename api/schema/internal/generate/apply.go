package main

import (
	"strconv"
	"strings"

	"github.com/warrenmesh/warren/api/schema"
)

// apply applies the markers of a type or a field to its schema.
func (b *builder) apply(n *schema.Node, where string, markers []marker) {
	for _, m := range markers {
		ours, isOurs := strings.CutPrefix(m.name, "warren:")
		bound, isBound := strings.CutPrefix(m.name, "kubebuilder:validation:")
		switch {
		case isOurs:
			b.own(n, where, ours, m.value)
		case isBound:
			b.validation(n, where, bound, m.value)
		case m.name == "listType" && m.value == "set":
			n.UniqueItems = true
		default:
			b.problem("%s: marker +%s is not known", where, m.name)
		}
	}
}

// validation applies a marker of controller-gen.
func (b *builder) validation(n *schema.Node, where, name, value string) {
	bounds := map[string]**int64{
		"Minimum": &n.Minimum, "Maximum": &n.Maximum, "MinLength": &n.MinLength, "MaxLength": &n.MaxLength,
		"MinItems": &n.MinItems, "MaxItems": &n.MaxItems, "MinProperties": &n.MinProperties, "MaxProperties": &n.MaxProperties,
	}
	switch bound, isBound := bounds[name]; {
	case isBound:
		v, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			b.problem("%s: %s=%s is not a number", where, name, value)
		}
		*bound = &v
	case name == "Enum":
		n.Enum, n.MinLength = list(value), nil
	case name == "items:Enum":
		n.Items.Enum, n.Items.MinLength = list(value), nil
	default:
		b.problem("%s: marker +kubebuilder:validation:%s is not known", where, name)
	}
}

// own applies one of our markers.
func (b *builder) own(n *schema.Node, where, name, value string) {
	child, isChild := strings.CutPrefix(name, "default:")
	switch {
	case name == "default":
		b.setDefault(n, where, value)
	case name == "default:text":
		n.DefaultText = value
	case isChild:
		c, ok := n.Properties.Lookup(child)
		if !ok {
			b.problem("%s has no field %s to give a default", where, child)
			return
		}
		doc := c.Doc()
		b.setDefault(c, where, value)
		c.Describe(doc)
	case name == "format":
		format, ok := formats[value]
		if !ok {
			b.problem("%s: format %s is not known", where, value)
			return
		}
		format(n)
	case name == "range":
		n.Low, n.High, _ = strings.Cut(value, "..")
	case name == "refers":
		refers(n, value)
	case name == "unsupported":
		n.Unsupported, n.Not, n.DoNotSuggest = true, &schema.Node{}, true
		n.ErrorMessage = "This is not supported yet: remove it."
	case name == "unsupported:values":
		n.UnsupportedValues = list(value)
	default:
		b.problem("%s: marker +warren:%s is not known", where, name)
	}
}

func (b *builder) setDefault(n *schema.Node, where, value string) {
	var err error
	switch n.Type {
	case "integer":
		n.Default, err = strconv.ParseInt(value, 10, 64)
	case "boolean":
		n.Default, err = strconv.ParseBool(value)
	case "array":
		n.Default = strings.Split(strings.Trim(value, "[]"), ", ")
	default:
		n.Default = value
	}
	if err != nil {
		b.problem("%s: default %q is no %s", where, value, n.Type)
	}
}

// refers narrows a reference, or a list of them, to one kind.
func refers(n *schema.Node, kind string) {
	if n.Type == "array" {
		n = n.Items
	}
	if k, ok := n.Properties.Lookup("kind"); ok {
		doc := k.Doc()
		k.Enum, k.Default, k.MinLength = []string{kind}, kind, nil
		k.Describe(doc)
	}
}
