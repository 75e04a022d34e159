package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
