package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Group, version and kinds.
const (
	Group      = "warrenmesh.io"
	Version    = "v1alpha1"
	APIVersion = Group + "/" + Version

	KindEventBroker       = "EventBroker"
	KindEventTopic        = "EventTopic"
	KindEventRoute        = "EventRoute"
	KindEventSubscription = "EventSubscription"
	KindEventPolicy       = "EventPolicy"
)

// Condition types and reasons, as in the Gateway API.
const (
	ConditionAccepted     = "Accepted"
	ConditionResolvedRefs = "ResolvedRefs"
	ConditionProgrammed   = "Programmed"

	ReasonAccepted    = "Accepted"
	ReasonResolved    = "ResolvedRefs"
	ReasonProgrammed  = "Programmed"
	ReasonPending     = "Pending"
	ReasonRejected    = "Rejected"
	ReasonNoSidecars  = "NoSidecars"
	ReasonUnsupported = "UnsupportedValue"
	ReasonInvalid     = "Invalid"
	ReasonRefNotFound = "RefNotFound"
	ReasonConflicted  = "Conflicted"
)

// LocalRef names an object. Without a namespace, it is the namespace of the object that
// refers.
type LocalRef struct {
	// Kind of the object; only one is allowed here, so it can be left out.
	Kind string `json:"kind,omitempty"`
	// Namespace of the object.
	// +warren:format=namespace
	// +warren:default:text=the referrer's namespace
	Namespace string `json:"namespace,omitempty"`
	// Name of the object.
	// +warren:format=name
	Name string `json:"name"`
}

// Backoff is exponential: the delay doubles from the base interval up to the maximum.
type Backoff struct {
	// BaseInterval is the delay before the second attempt.
	// +warren:range=1ms..
	BaseInterval *metav1.Duration `json:"baseInterval,omitempty"`
	// MaxInterval is the longest delay. It is at least the base interval.
	// +warren:range=1ms..
	MaxInterval *metav1.Duration `json:"maxInterval,omitempty"`
}

// Filter selects events, in the dialects of the CloudEvents Subscriptions API. Exactly
// one dialect is set. Comparisons are case-sensitive and use the canonical text of an
// attribute; a missing attribute matches nothing.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:MaxProperties=1
type Filter struct {
	// Exact maps attributes to the whole text each must have; all must match.
	// +warren:format=attributes
	Exact map[string]string `json:"exact,omitempty"`
	// Prefix maps attributes to the text each must start with; all must match.
	// +warren:format=attributes
	Prefix map[string]string `json:"prefix,omitempty"`
	// Suffix maps attributes to the text each must end with; all must match.
	// +warren:format=attributes
	Suffix map[string]string `json:"suffix,omitempty"`
	// All filters of the list must match.
	// +kubebuilder:validation:MinItems=1
	All []Filter `json:"all,omitempty"`
	// Any filter of the list must match.
	// +kubebuilder:validation:MinItems=1
	Any []Filter `json:"any,omitempty"`
	// Not matches when its filter does not.
	Not *Filter `json:"not,omitempty"`
	// CESQL is an expression in the CloudEvents SQL dialect.
	// +warren:unsupported
	CESQL string `json:"cesql,omitempty"`
}

// Status is the observed state of an object.
type Status struct {
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
