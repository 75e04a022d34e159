package faults

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/warrenmesh/warren/test/faults/rig"
	"github.com/warrenmesh/warren/test/faults/rows/broker"
	"github.com/warrenmesh/warren/test/faults/rows/event"
	"github.com/warrenmesh/warren/test/faults/rows/process"
	"github.com/warrenmesh/warren/test/faults/rows/stranger"
)

// Select returns the scenarios of rows, written as 1,8,13-15. Without rows it returns
// all scenarios, or with short the short set. Scenarios that need one node come first,
// so that the nodes are started only twice.
func Select(rows string, short bool) ([]rig.Scenario, error) {
	wanted, err := parseRows(rows)
	if err != nil {
		return nil, err
	}
	var out []rig.Scenario
	for _, s := range Scenarios() {
		if rows == "" && (s.Short || !short) || wanted[s.Row] {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no scenario has one of the rows %s", rows)
	}
	slices.SortStableFunc(out, func(a, b rig.Scenario) int { return a.Nodes - b.Nodes })
	return out, nil
}

func parseRows(rows string) (map[int]bool, error) {
	wanted := map[int]bool{}
	for part := range strings.SplitSeq(rows, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		first, last, span := strings.Cut(part, "-")
		if !span {
			last = first
		}
		from, err := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err != nil || err2 != nil || from > to {
			return nil, fmt.Errorf("rows %q: want numbers and ranges, as 1,8,13-15", rows)
		}
		for ; from <= to; from++ {
			wanted[from] = true
		}
	}
	return wanted, nil
}

// Scenarios returns every scenario, by row.
func Scenarios() []rig.Scenario {
	all := slices.Concat(broker.Rows(), process.Rows(), event.Rows(), stranger.Rows())
	slices.SortFunc(all, func(a, b rig.Scenario) int { return cmp.Compare(a.Row, b.Row) })
	return all
}

// Missing lists the rows without a scenario, with the reasons.
var Missing = map[int]string{
	31: "certificates cannot be configured by hand yet; TLS of the sidecar comes with the issue on security",
}
