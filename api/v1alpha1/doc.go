// Package v1alpha1 holds the kinds operators declare, in group
// warrenmesh.io/v1alpha1: EventBroker, EventTopic, EventRoute, EventSubscription
// and EventPolicy. YAML files and Kubernetes objects share them.
//
// It owns their Go types, their defaults (Default) and everything about one
// object that can be checked without looking at another (Validate). References
// between objects are resolved in controlplane.
//
// The comment on a field is what operators read of it, in their editor and from
// "warren config explain-field": api/schema is generated from the types. Lines in
// it that start with "+" are markers. Those of Kubernetes' controller-gen mean what
// they mean there; ours are:
//
//	+warren:default=VALUE           what Default fills in
//	+warren:default:FIELD=VALUE     the same for a field of the struct, where it is used
//	+warren:default:text=WORDS      a default that is no fixed value
//	+warren:format=FORMAT           name, namespace, hostport, template, amqp-name, attributes
//	+warren:range=LOW..HIGH         bounds of a duration; HIGH may be left out
//	+warren:refers=KIND             the only kind a reference may name
//	+warren:unsupported             refused until a later version
//	+warren:unsupported:values=A;B  values that are
//
// They do not enforce anything here: tests hold Default and Validate to them.
package v1alpha1
