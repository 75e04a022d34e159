package v1alpha1

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Condition is one aspect of an object's state.
type Condition = metav1.Condition

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
