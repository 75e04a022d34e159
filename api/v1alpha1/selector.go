package v1alpha1

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// SelectorMatches compiles a label selector. The returned function never blocks and is
// safe for concurrent use. An empty selector matches nothing: Validate refuses it, and
// a match of everything would be the worse mistake.
func SelectorMatches(selector LabelSelector) (func(labels map[string]string) bool, error) {
	if emptySelector(selector) {
		return func(map[string]string) bool { return false }, nil
	}
	compiled, err := metav1.LabelSelectorAsSelector(&selector)
	if err != nil {
		return nil, fmt.Errorf("compile label selector: %w", err)
	}
	return func(l map[string]string) bool { return compiled.Matches(labels.Set(l)) }, nil
}

func emptySelector(s LabelSelector) bool {
	return len(s.MatchLabels) == 0 && len(s.MatchExpressions) == 0
}
