package v1alpha1

import (
	"testing"
	"time"
)

func TestNewMakesEveryKind(t *testing.T) {
	t.Parallel()
	for _, kind := range Kinds() {
		obj, ok := New(kind)
		if !ok || obj.KindName() != kind || typeMeta(obj).Kind != kind || typeMeta(obj).APIVersion != APIVersion {
			t.Errorf("New(%q) = %+v, %v", kind, obj, ok)
		}
	}
	if _, ok := New("EventTopik"); ok {
		t.Error("New made an object of a kind that does not exist")
	}
}

func TestNameOfFillsInTheNamespace(t *testing.T) {
	t.Parallel()
	if got := NameOf(&EventTopic{ObjectMeta: ObjectMeta{Name: "a"}}).String(); got != "EventTopic default/a" {
		t.Errorf("got %q", got)
	}
}

func TestSelectorMatches(t *testing.T) {
	t.Parallel()
	matches, err := SelectorMatches(LabelSelector{MatchLabels: map[string]string{"app": "billing"}})
	if err != nil {
		t.Fatal(err)
	}
	if !matches(map[string]string{"app": "billing", "x": "y"}) || matches(map[string]string{"app": "audit"}) || matches(nil) {
		t.Error("matchLabels: wrong workloads matched")
	}
	if matches, err = SelectorMatches(LabelSelector{}); err != nil || matches(map[string]string{"app": "billing"}) {
		t.Error("an empty selector matched")
	}
}

func TestSetConditionKeepsTheTransitionTime(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)
	var s Status
	s.SetCondition(Condition{Type: "Programmed", Status: ConditionUnknown, Reason: ReasonNoSidecars}, start)
	s.SetCondition(Condition{Type: "Programmed", Status: ConditionUnknown, Reason: ReasonPending}, start.Add(time.Minute))
	if c := s.Condition("Programmed"); !c.LastTransitionTime.Time.Equal(start) || c.Reason != ReasonPending {
		t.Errorf("same status: got %+v, want the reason replaced and the time kept", c)
	}
	s.SetCondition(Condition{Type: "Programmed", Status: ConditionTrue}, start.Add(time.Hour))
	if c := s.Condition("Programmed"); !c.LastTransitionTime.Time.Equal(start.Add(time.Hour)) || len(s.Conditions) != 1 {
		t.Errorf("new status: got %+v, want the time replaced", s.Conditions)
	}
	if s.Condition("Accepted") != nil {
		t.Error("a condition that was never set exists")
	}
}

func TestDidYouMean(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"wieght": ` (did you mean "weight"?)`, "Weight": ` (did you mean "weight"?)`, "colour": "", "": "",
	} {
		if got := DidYouMean(value, []string{"weight", "name"}); got != want {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
}
