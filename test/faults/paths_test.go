package faults_test

import (
	"slices"
	"testing"

	"github.com/warrenmesh/warren/test/faults"
	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
)

func TestAWholeRunTakesEveryPath(t *testing.T) {
	t.Parallel()
	first := &faults.Result{Report: &check.Report{Publishes: history.Ways{Fast: 5}, Settlements: history.Ways{Fast: 4, Slow: 1}}}
	if got := faults.IdlePaths([]*faults.Result{first}); !slices.Equal(got, []string{"the slow path of publishes"}) {
		t.Errorf("idle: %q", got)
	}
	second := &faults.Result{Report: &check.Report{Publishes: history.Ways{Slow: 1}}}
	if got := faults.IdlePaths([]*faults.Result{first, second}); len(got) > 0 {
		t.Errorf("idle: %q", got)
	}
}
