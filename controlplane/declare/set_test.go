package declare

import (
	"slices"
	"testing"

	"github.com/warrenmesh/warren/api/v1alpha1"
)

func TestLineOfFallsBackToTheNearestFieldAround(t *testing.T) {
	t.Parallel()
	o := Object{Line: 1, Lines: map[string]int{
		"spec": 3, "spec.rules": 4, "spec.rules[0]": 5, "spec.selector.matchLabels[app.kubernetes.io/name]": 9,
	}}
	for path, want := range map[string]int{
		"spec.rules[0].backendRefs[1].weight":                5,
		"spec.rules[1].name":                                 4,
		"spec.retry":                                         3,
		"spec.selector.matchLabels[app.kubernetes.io/name]":  9,
		"spec.selector.matchLabels[app.kubernetes.io/other]": 3,
		"metadata.name":                                      1,
		"":                                                   1,
		"]":                                                  1,
	} {
		if got := o.LineOf(path); got != want {
			t.Errorf("%q: got line %d, want %d", path, got, want)
		}
	}
}

func TestProblemReadsLikeACompilerMessage(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]Problem{
		"routes.yaml:14: spec.rules[0].timeout: is 0s": {File: "routes.yaml", Line: 14, Field: "spec.rules[0].timeout", Message: "is 0s"},
		"routes.yaml: is a directory":                  {File: "routes.yaml", Message: "is a directory"},
		"spec.type: is wrong":                          {Field: "spec.type", Message: "is wrong", Line: 3},
	} {
		if got := p.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestSortOrdersByPlace(t *testing.T) {
	t.Parallel()
	problems := []Problem{
		{File: "b.yaml", Line: 1}, {File: "a.yaml", Line: 10}, {File: "a.yaml", Line: 9, Field: "z"}, {File: "a.yaml", Line: 9, Field: "y"},
	}
	Sort(problems)
	want := []Problem{
		{File: "a.yaml", Line: 9, Field: "y"}, {File: "a.yaml", Line: 9, Field: "z"}, {File: "a.yaml", Line: 10}, {File: "b.yaml", Line: 1},
	}
	if !slices.Equal(problems, want) {
		t.Errorf("got %v, want %v", problems, want)
	}
}

func TestProblemOfAnObjectNamesItAndItsLine(t *testing.T) {
	t.Parallel()
	topic := &v1alpha1.EventTopic{ObjectMeta: v1alpha1.ObjectMeta{Name: "orders", Namespace: "shop"}}
	o := Object{Value: topic, File: "t.yaml", Line: 2, Lines: map[string]int{"spec.routingKey": 7}}
	got := o.Problem(v1alpha1.FieldError{Path: "spec.routingKey", Message: "is wrong", Kind: v1alpha1.Conflict})
	if got.String() != "t.yaml:7: spec.routingKey: is wrong" || got.Object.String() != "EventTopic shop/orders" || got.Kind != v1alpha1.Conflict {
		t.Errorf("got %+v", got)
	}
}
