package v1alpha1

import (
	"slices"
	"time"

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

// DefaultNamespace is the namespace of an object that names none.
const DefaultNamespace = "default"

// Names for apimachinery's types, so that other packages need not import it.
type (
	// ObjectMeta is the metadata of an object.
	ObjectMeta = metav1.ObjectMeta
	// Duration is written as "500ms", "2s" or "5m".
	Duration = metav1.Duration
	// LabelSelector picks workloads by their labels.
	LabelSelector = metav1.LabelSelector
)

// Object is a pointer to one of the kinds. metav1.Object gives access to name,
// namespace, labels and generation.
type Object interface {
	metav1.Object

	// KindName is the kind, even when the object's TypeMeta is empty.
	KindName() string
	// ObjectStatus is the object's status, to read and to write.
	ObjectStatus() *Status
}

// kinds lists the kinds in the order in which the pages explain them.
var kinds = []struct {
	name string
	new  func() Object
}{
	{KindEventBroker, func() Object { return new(EventBroker) }},
	{KindEventTopic, func() Object { return new(EventTopic) }},
	{KindEventRoute, func() Object { return new(EventRoute) }},
	{KindEventSubscription, func() Object { return new(EventSubscription) }},
	{KindEventPolicy, func() Object { return new(EventPolicy) }},
}

// Kinds lists the names of all kinds, brokers first. The caller owns the slice.
func Kinds() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return names
}

// New returns an empty object of the kind with its TypeMeta filled in; false
// means that there is no such kind.
func New(kind string) (Object, bool) {
	for _, k := range kinds {
		if k.name == kind {
			obj := k.new()
			*typeMeta(obj) = metav1.TypeMeta{Kind: kind, APIVersion: APIVersion}
			return obj, true
		}
	}
	return nil, false
}

// ObjectName identifies a declared object.
type ObjectName struct {
	Kind      string
	Namespace string
	Name      string
}

// String returns "Kind namespace/name".
func (n ObjectName) String() string { return n.Kind + " " + n.Namespace + "/" + n.Name }

// NameOf returns the object's name; an empty namespace is DefaultNamespace.
func NameOf(obj Object) ObjectName {
	return ObjectName{Kind: obj.KindName(), Namespace: namespaceOf(obj), Name: obj.GetName()}
}

func namespaceOf(obj Object) string {
	if ns := obj.GetNamespace(); ns != "" {
		return ns
	}
	return DefaultNamespace
}

// KindName implements Object.
func (*EventBroker) KindName() string { return KindEventBroker }

// KindName implements Object.
func (*EventTopic) KindName() string { return KindEventTopic }

// KindName implements Object.
func (*EventRoute) KindName() string { return KindEventRoute }

// KindName implements Object.
func (*EventSubscription) KindName() string { return KindEventSubscription }

// KindName implements Object.
func (*EventPolicy) KindName() string { return KindEventPolicy }

// ObjectStatus implements Object.
func (b *EventBroker) ObjectStatus() *Status { return &b.Status }

// ObjectStatus implements Object.
func (t *EventTopic) ObjectStatus() *Status { return &t.Status }

// ObjectStatus implements Object.
func (r *EventRoute) ObjectStatus() *Status { return &r.Status }

// ObjectStatus implements Object.
func (s *EventSubscription) ObjectStatus() *Status { return &s.Status }

// ObjectStatus implements Object.
func (p *EventPolicy) ObjectStatus() *Status { return &p.Status }

// typeMeta returns where the object keeps its kind and apiVersion.
func typeMeta(obj Object) *metav1.TypeMeta {
	switch o := obj.(type) {
	case *EventBroker:
		return &o.TypeMeta
	case *EventTopic:
		return &o.TypeMeta
	case *EventRoute:
		return &o.TypeMeta
	case *EventSubscription:
		return &o.TypeMeta
	case *EventPolicy:
		return &o.TypeMeta
	default:
		return new(metav1.TypeMeta)
	}
}

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

// Condition types and reasons, as in the Gateway API. Only brokers are Healthy.
const (
	ConditionAccepted     = "Accepted"
	ConditionResolvedRefs = "ResolvedRefs"
	ConditionProgrammed   = "Programmed"
	ConditionHealthy      = "Healthy"

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
	// Of Programmed, when the words of the sidecars have no reason.
	ReasonUndeclared = "Undeclared"
	// Of Healthy: every node is up; some cannot be used, by some; none can be used; a node
	// raised an alarm; no sidecar that uses the broker reports.
	ReasonUp        = "Up"
	ReasonDegraded  = "Degraded"
	ReasonDown      = "Down"
	ReasonAlarm     = "Alarm"
	ReasonNoReports = "NoReports"
)

// Condition is one aspect of an object's state.
type Condition = metav1.Condition

// ConditionStatus is the value of Condition.Status.
type ConditionStatus = metav1.ConditionStatus

// The three values of Condition.Status.
const (
	ConditionTrue    = metav1.ConditionTrue
	ConditionFalse   = metav1.ConditionFalse
	ConditionUnknown = metav1.ConditionUnknown
)

// SetCondition adds c to the status, or replaces the condition of its type. If Status
// changes, the transition time becomes now; otherwise it stays. c.LastTransitionTime is
// not read.
func (s *Status) SetCondition(c Condition, now time.Time) {
	c.LastTransitionTime = metav1.NewTime(now)
	i := slices.IndexFunc(s.Conditions, func(old Condition) bool { return old.Type == c.Type })
	if i < 0 {
		s.Conditions = append(s.Conditions, c)
		return
	}
	if s.Conditions[i].Status == c.Status {
		c.LastTransitionTime = s.Conditions[i].LastTransitionTime
	}
	s.Conditions[i] = c
}

// Condition returns the condition of the type, nil when there is none. The
// pointer is valid until the next SetCondition.
func (s *Status) Condition(conditionType string) *Condition {
	i := slices.IndexFunc(s.Conditions, func(c Condition) bool { return c.Type == conditionType })
	if i < 0 {
		return nil
	}
	return &s.Conditions[i]
}
