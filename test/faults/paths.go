package faults

import "github.com/warrenmesh/warren/test/faults/history"

// Ways adds up the paths of all results.
func Ways(results []*Result) (publishes, settlements history.Ways) {
	for _, r := range results {
		publishes.Add(r.Report.Publishes)
		settlements.Add(r.Report.Settlements)
	}
	return publishes, settlements
}

// IdlePaths names the paths that no event of any result took. A whole run must take all.
func IdlePaths(results []*Result) (idle []string) {
	publishes, settlements := Ways(results)
	for _, path := range []struct {
		name string
		n    int
	}{
		{"the fast path of publishes", publishes.Fast}, {"the slow path of publishes", publishes.Slow},
		{"the fast path of settlements", settlements.Fast}, {"the slow path of settlements", settlements.Slow},
	} {
		if path.n == 0 {
			idle = append(idle, path.name)
		}
	}
	return idle
}
