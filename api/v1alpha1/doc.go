// Package v1alpha1 holds the kinds that operators declare, in group
// warrenmesh.io/v1alpha1: EventBroker, EventTopic, EventRoute, EventSubscription and
// EventPolicy. YAML files and Kubernetes objects share them.
//
// It owns their Go types, their defaults (Default) and all checks of a single object
// (Validate). Package controlplane resolves references between objects.
//
// Operators read the comment on a field in their editor and with "warren config
// explain-field": api/schema is generated from the types. Lines in a comment that start
// with "+" are markers. Markers of Kubernetes' controller-gen have their usual meaning;
// ours are:
//
//	+warren:default=VALUE           what Default fills in
//	+warren:default:FIELD=VALUE     the same for a field of the struct, where it is used
//	+warren:default:text=WORDS      a default that is no fixed value
//	+warren:format=FORMAT           name, namespace, hostport, template, amqp-name, attribute,
//	                                attributes or headers
//	+warren:range=LOW..HIGH         bounds of a duration; HIGH may be left out
//	+warren:refers=KIND             the only kind a reference may name
//	+warren:unsupported             refused until a later version
//	+warren:unsupported:values=A;B  values that are refused until a later version
//
// The markers enforce nothing: tests check that Default and Validate agree with them.
package v1alpha1
