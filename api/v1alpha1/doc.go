// Package v1alpha1 holds the kinds operators declare, in group
// warrenmesh.io/v1alpha1: EventBroker, EventTopic, EventRoute, EventSubscription
// and EventPolicy. YAML files and Kubernetes objects share them.
//
// It owns their Go types, their defaults (Default) and everything about one
// object that can be checked without looking at another (Validate). References
// between objects are resolved in xds/controlplane.
package v1alpha1
