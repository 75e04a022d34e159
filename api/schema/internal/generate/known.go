package main

import "github.com/warrenmesh/warren/api/schema"

// The patterns accept everything that v1alpha1.Validate accepts. Where an exact pattern
// would be unreadable, they accept more.
const (
	labelPattern     = `^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	namePattern      = `^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	hostPortPattern  = `^.+:0*[1-9][0-9]{0,4}$`
	templatePattern  = `^([^{}]|\{[a-z0-9]+\})*$`
	attributePattern = `^[a-z0-9]+$`
	noControlPattern = `^[^\x00-\x1f\x7f-\x9f]*$`
	headerPattern    = `^[^*\x00-\x1f\x7f-\x9f]*\*?$`
	durationPattern  = `^\+?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$`
)

// reservedHeaderPattern matches entries of a list of headers that are reserved.
const reservedHeaderPattern = `^(ce-|cloudEvents|warren-|x-|(traceparent|tracestate|baggage|CC|BCC)\*?$|(reply_to|content_encoding)\*$)`

// formats holds the values of +warren:format.
var formats = map[string]func(*schema.Node){
	"name":      func(n *schema.Node) { n.Pattern, n.MaxLength = namePattern, new(int64(253)) },
	"namespace": func(n *schema.Node) { n.Pattern, n.MaxLength = labelPattern, new(int64(63)) },
	"hostport":  func(n *schema.Node) { n.Pattern = hostPortPattern },
	"template":  func(n *schema.Node) { n.Pattern = templatePattern },
	"attribute": func(n *schema.Node) { n.Pattern, n.Not = attributePattern, &schema.Node{Const: "data"} },
	"amqp-name": func(n *schema.Node) {
		n.Pattern, n.MaxLength = noControlPattern, new(int64(255))
		n.Not = &schema.Node{Pattern: `^amq\.`}
		n.ErrorMessage = "Names that start with \"amq.\" belong to the broker; a name has at most 255 bytes and no control characters."
	},
	"headers": func(n *schema.Node) {
		n.Items.Pattern, n.Items.MaxLength = headerPattern, new(int64(256))
		n.Items.Not = &schema.Node{Pattern: reservedHeaderPattern}
		n.Items.ErrorMessage = "Want the name of a header, or a beginning of names followed by *, that is not reserved: ce-, cloudEvents, warren-, x-, the trace context, CC and BCC."
	},
	"attributes": func(n *schema.Node) {
		n.MinProperties = new(int64(1))
		n.PropertyNames = &schema.Node{Pattern: attributePattern, Not: &schema.Node{Const: "data"}}
	},
}

// foreign holds the types of apimachinery that the kinds use.
var foreign = map[string]func() *schema.Node{
	"Duration":      duration,
	"LabelSelector": labelSelector,
}

func duration() *schema.Node {
	return &schema.Node{Type: "string", Duration: true, Pattern: durationPattern, ErrorMessage: "Want a duration with its unit, such as 500ms, 2s or 5m."}
}

func text(description string) *schema.Node {
	return &schema.Node{Type: "string", Description: description}
}

func textMap(description string) *schema.Node {
	return &schema.Node{Type: "object", Description: description, Additional: &schema.Additional{Node: &schema.Node{Type: "string"}}}
}

func apiVersionNode() *schema.Node {
	return &schema.Node{Type: "string", Const: apiVersion, Description: "Group and version of the kinds."}
}

// metadata is the part of Kubernetes' ObjectMeta that files may set.
func metadata() *schema.Node {
	name, namespace := text(""), text("")
	formats["name"](name)
	formats["namespace"](namespace)
	namespace.Default = "default"
	name.Describe("Name of the object, unique among those of its kind and namespace.")
	namespace.Describe("Namespace of the object.")
	return &schema.Node{
		Type: "object", Description: "Names the object.", Required: []string{"name"}, Additional: &schema.Additional{},
		Properties: schema.Properties{
			{Name: "name", Node: name},
			{Name: "namespace", Node: namespace},
			{Name: "labels", Node: textMap("Labels of the object, as in Kubernetes; Warren does not read them.")},
			{Name: "annotations", Node: textMap("Annotations of the object, as in Kubernetes; Warren does not read them.")},
		},
	}
}

func labelSelector() *schema.Node {
	operator := &schema.Node{Type: "string", Enum: []string{"In", "NotIn", "Exists", "DoesNotExist"}}
	operator.Describe("How the label is compared with the values.")
	return &schema.Node{
		Type: "object", MinProperties: new(int64(1)), Additional: &schema.Additional{},
		Properties: schema.Properties{
			{Name: "matchLabels", Node: textMap("Labels and the value each must have; all must match.")},
			{Name: "matchExpressions", Node: &schema.Node{
				Type: "array", Description: "Conditions on labels; all must hold.",
				Items: &schema.Node{
					Type: "object", Required: []string{"key", "operator"}, Additional: &schema.Additional{},
					Properties: schema.Properties{
						{Name: "key", Node: text("Name of the label.")},
						{Name: "operator", Node: operator},
						{Name: "values", Node: &schema.Node{Type: "array", Description: "Values for In and NotIn; at least one for them, none for the others.", Items: &schema.Node{Type: "string"}}},
					},
				},
			}},
		},
	}
}

// conditions holds the rules of a kind's spec that involve several fields.
var conditions = map[string]func(spec *schema.Node){
	"EventBroker": func(spec *schema.Node) {
		spec.If = &schema.Node{
			Properties: schema.Properties{{Name: "type", Node: &schema.Node{Const: "Memory"}}},
			Required:   []string{"type"},
		}
		var networked []*schema.Node
		for _, field := range []string{"nodes", "vhost", "credentials", "heartbeat"} {
			networked = append(networked, &schema.Node{Required: []string{field}})
		}
		spec.Then = &schema.Node{
			Properties:   schema.Properties{{Name: "topology", Node: &schema.Node{Const: "Manage"}}},
			Not:          &schema.Node{AnyOf: networked},
			ErrorMessage: "A broker of type Memory lives inside one process: it has no nodes, vhost, credentials or heartbeat, and topology Manage.",
		}
		spec.Else = &schema.Node{
			Properties: schema.Properties{{Name: "nodes", Node: &schema.Node{MinItems: new(int64(1))}}},
			Required:   []string{"nodes"},
		}
	},
	"EventSubscription": func(spec *schema.Node) {
		spec.If = &schema.Node{
			Properties: schema.Properties{{Name: "ordering", Node: &schema.Node{Const: "PerKey"}}},
			Required:   []string{"ordering"},
		}
		without := func(field string) *schema.Node { return &schema.Node{Not: &schema.Node{Required: []string{field}}} }
		spec.Else = &schema.Node{
			Properties:   schema.Properties{{Name: "retry", Node: without("maxElapsed")}, {Name: "deadLetter", Node: without("keyPolicy")}},
			ErrorMessage: "retry.maxElapsed and deadLetter.keyPolicy are about events that hold up their key: they need ordering PerKey.",
		}
	},
}
