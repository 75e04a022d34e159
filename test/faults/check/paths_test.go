package check_test

import (
	"testing"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
)

func TestThePathsThatTheHistoryNeedsMustHaveRun(t *testing.T) {
	t.Parallel()
	both := history.Ways{Fast: 30, Slow: 2}
	retried := func(r *history.Run) {
		deliveryTo(r, audit, "b7").Outcome = history.Retry
		again(r, audit, "b7", true)
		last(r).Outcome, last(r).Attempt = history.Ack, 2
	}
	for name, test := range map[string]struct {
		paths   history.Paths
		change  func(*history.Run)
		slow    bool // the scenario demands slow publishes
		verdict string
	}{
		"both ran":                            {paths: history.Paths{Publish: both, Delivery: both}, change: retried, slow: true, verdict: "ok"},
		"no fast publish":                     {paths: history.Paths{Publish: history.Ways{Slow: 30}, Delivery: both}, verdict: "I0"},
		"no fast settlement":                  {paths: history.Paths{Publish: both, Delivery: history.Ways{Slow: 60}}, verdict: "I0"},
		"no slow settlement and no retry":     {paths: history.Paths{Publish: both, Delivery: history.Ways{Fast: 60}}, verdict: "ok"},
		"no slow settlement and a retry":      {paths: history.Paths{Publish: both, Delivery: history.Ways{Fast: 60}}, change: retried, verdict: "I0"},
		"no slow publish":                     {paths: history.Paths{Publish: history.Ways{Fast: 30}, Delivery: both}, verdict: "ok"},
		"no slow publish, which is demanded":  {paths: history.Paths{Publish: history.Ways{Fast: 30}, Delivery: both}, slow: true, verdict: "I0"},
		"a sidecar that has forgotten a part": {paths: history.Paths{Delivery: both, Restarted: true}, slow: true, verdict: "ok"},
	} {
		run, demands := made(), demands()
		if test.change != nil {
			test.change(run)
		}
		run.Paths, demands.SlowPublishes = []history.Paths{test.paths}, test.slow
		r := check.Check(run, demands)
		if got := r.Verdict(); got != test.verdict || r.Publishes != test.paths.Publish || r.Settlements != test.paths.Delivery {
			t.Errorf("%s: %s, want %s; publishes %v, settlements %v", name, got, test.verdict, r.Publishes, r.Settlements)
		}
	}
}
