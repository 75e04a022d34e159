package file

import (
	"fmt"
	"reflect"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/warrenmesh/warren/api/v1alpha1"
)

// The tags YAML gives to plain values.
const (
	tagString = "!!str"
	tagInt    = "!!int"
	tagFloat  = "!!float"
	tagBool   = "!!bool"
	tagNull   = "!!null"
	tagTime   = "!!timestamp"
)

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == tagNull }

// scalar decodes text, a whole number or a truth value.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path v1alpha1.Path) {
	switch v.Kind() {
	case reflect.String:
		d.text(n, v, path)
	case reflect.Bool:
		var b bool
		if n.Kind != yaml.ScalarNode || n.ShortTag() != tagBool || n.Decode(&b) != nil {
			d.problem(n, path, "is %s: want true or false", describe(n))
			return
		}
		v.SetBool(b)
	case reflect.Int32, reflect.Int64:
		var i int64
		if n.Kind != yaml.ScalarNode || n.ShortTag() != tagInt || n.Decode(&i) != nil || v.OverflowInt(i) {
			d.problem(n, path, "is %s: want a whole number of at most %d bits", describe(n), v.Type().Bits())
			return
		}
		v.SetInt(i)
	case reflect.Interface:
		// Only the fields of EventPolicy, which is refused as a whole.
		v.Set(reflect.ValueOf(n.Value))
	default:
		// A kind has a field of a type that the decoder does not know: an error is
		// better than to drop the declared value.
		d.problem(n, path, "cannot be read from a file: it is of type %s", v.Type())
	}
}

// text decodes a string. The value of a map may be empty, as labels are. A field may
// not: leaving it out means the same, and an empty one may be a slip.
func (d *decoder) text(n *yaml.Node, v reflect.Value, path v1alpha1.Path) {
	switch {
	case n.Kind != yaml.ScalarNode:
		d.problem(n, path, "is %s: want text", describe(n))
	case n.ShortTag() != tagString:
		d.problem(n, path, "is %s: want text, so put it in quotes: %q", describe(n), n.Value)
	case n.Value == "" && path[len(path)-1] != ']':
		d.problem(n, path, "is empty: give it a value or remove it")
	default:
		v.SetString(n.Value)
	}
}

func (d *decoder) duration(n *yaml.Node, v reflect.Value, path v1alpha1.Path) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == tagString {
		if parsed, err := time.ParseDuration(n.Value); err == nil {
			v.Set(reflect.ValueOf(v1alpha1.Duration{Duration: parsed}))
			return
		}
	}
	d.problem(n, path, "is %s: want a duration with its unit, such as 500ms, 2s or 5m", describe(n))
}

// describe names the type of a node, for "is ...: want ...".
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	case yaml.ScalarNode:
	default:
		return "nothing"
	}
	value := n.Value
	if len(value) > 64 {
		value = value[:64] + "..."
	}
	switch n.ShortTag() {
	case tagString:
		return "the text " + strconv.Quote(value)
	case tagInt, tagFloat:
		return "the number " + value
	case tagBool:
		return "the truth value " + value
	case tagTime:
		return "the date " + value
	case tagNull:
		return "empty"
	default:
		return fmt.Sprintf("a value with the tag %s", n.ShortTag())
	}
}
