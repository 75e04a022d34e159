package status

import (
	"fmt"
	"slices"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
)

// declaration is what is known of one object's newest declaration.
type declaration struct {
	name     v1alpha1.ObjectName
	problems []declare.Problem // why it was refused
	inForce  bool              // it is in force, or an older one
	waits    string            // why it does not come into force yet; "" when nothing waits
	newest   int64             // its generation
	serving  int64             // that of the declaration in force
	counter  Counter           // nil when it is not in force
	reported bool              // sidecars report
	finding  Finding           // what they report of it
}

// Finding is what sidecars report of an object. The zero value is that nothing is known.
type Finding struct {
	// Undeclared counts the sidecars that could not declare the object on its broker;
	// Reason and Message say why.
	Undeclared      int
	Reason, Message string
	// Health is that of a broker: the condition's status, reason and message.
	Health                      v1alpha1.ConditionStatus
	HealthReason, HealthMessage string
}

// progress of the declaration in force.
func (d *declaration) progress() Progress {
	if d.counter == nil {
		return Progress{}
	}
	return d.counter.Progress()
}

// same tells whether the same conditions follow from both, with the same progress.
func (d *declaration) same(other *declaration) bool {
	return d.inForce == other.inForce && d.finding == other.finding && d.waits == other.waits && d.newest == other.newest && d.serving == other.serving &&
		slices.Equal(d.problems, other.problems)
}

// conditions of one object.
func conditions(d declaration, p Progress) []v1alpha1.Condition {
	all := []v1alpha1.Condition{accepted(d), resolvedRefs(d.problems, d.inForce), programmed(d, p)}
	all[0].ObservedGeneration, all[1].ObservedGeneration, all[2].ObservedGeneration = d.newest, d.newest, d.newest
	if d.inForce {
		all[2].ObservedGeneration = d.serving
	}
	if d.reported && d.name.Kind == v1alpha1.KindEventBroker {
		all = append(all, healthy(d))
	}
	return all
}

// healthy is what the sidecars that use a broker say of it.
func healthy(d declaration) v1alpha1.Condition {
	c := v1alpha1.Condition{Type: v1alpha1.ConditionHealthy, ObservedGeneration: d.newest}
	if c.Status, c.Reason, c.Message = d.finding.Health, d.finding.HealthReason, d.finding.HealthMessage; c.Status == "" {
		c.Status, c.Reason, c.Message = v1alpha1.ConditionUnknown, v1alpha1.ReasonNoReports, "no sidecar that uses it reports"
	}
	return c
}

func accepted(d declaration) v1alpha1.Condition {
	c := v1alpha1.Condition{Type: v1alpha1.ConditionAccepted}
	switch {
	case len(d.problems) > 0:
		c.Status, c.Reason, c.Message = v1alpha1.ConditionFalse, d.problems[0].Kind.String(), d.problems[0].String()
		if d.inForce {
			c.Message += "; the last good declaration stays in force"
		}
	case !d.inForce:
		c.Status, c.Reason, c.Message = v1alpha1.ConditionUnknown, v1alpha1.ReasonPending, "waits for other objects of its set, which have problems"
	default:
		c.Status, c.Reason, c.Message = v1alpha1.ConditionTrue, v1alpha1.ReasonAccepted, d.waits
	}
	return c
}

func resolvedRefs(problems []declare.Problem, inForce bool) v1alpha1.Condition {
	c := v1alpha1.Condition{Type: v1alpha1.ConditionResolvedRefs, Status: v1alpha1.ConditionTrue, Reason: v1alpha1.ReasonResolved}
	dangling := slices.IndexFunc(problems, func(p declare.Problem) bool { return p.Kind == v1alpha1.RefNotFound })
	switch {
	case dangling >= 0:
		c.Status, c.Reason, c.Message = v1alpha1.ConditionFalse, v1alpha1.ReasonRefNotFound, problems[dangling].String()
	case !inForce:
		c.Status, c.Reason, c.Message = v1alpha1.ConditionUnknown, v1alpha1.ReasonPending, "not in force"
	}
	return c
}

// programmed is True only when every connected sidecar that the object concerns has
// acknowledged what is in force, and none reports that it could not declare it.
func programmed(d declaration, p Progress) v1alpha1.Condition {
	c := v1alpha1.Condition{Type: v1alpha1.ConditionProgrammed, Status: v1alpha1.ConditionFalse}
	switch {
	case !d.inForce:
		c.Reason, c.Message = v1alpha1.ReasonInvalid, "not in force"
	case d.finding.Undeclared > 0:
		c.Reason, c.Message = d.finding.Reason, d.finding.Message
	case p.Total() == 0:
		c.Status, c.Reason, c.Message = v1alpha1.ConditionUnknown, v1alpha1.ReasonNoSidecars, "no connected sidecar has asked for it"
	case p.Rejected > 0:
		c.Reason, c.Message = v1alpha1.ReasonRejected, fmt.Sprintf("%d of %d sidecars refused it: %s", p.Rejected, p.Total(), p.LastError)
	case p.Pending > 0:
		c.Reason, c.Message = v1alpha1.ReasonPending, fmt.Sprintf("%d of %d sidecars have not answered yet", p.Pending, p.Total())
	default:
		c.Status, c.Reason, c.Message = v1alpha1.ConditionTrue, v1alpha1.ReasonProgrammed, fmt.Sprintf("acknowledged by %d of %d sidecars", p.Acked, p.Total())
	}
	return c
}
