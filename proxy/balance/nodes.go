package balance

// Candidate is a node that could take an event.
type Candidate struct {
	Priority uint32 // lower is preferred
	Up       bool   // a publish would be written
	Blocked  bool   // it is connected and blocked by an alarm only
	Avoided  bool   // it has failed too often recently (see Outlier)
	Tried    bool   // an earlier try of this event went there
	Local    bool   // it is in the sidecar's own zone
}

// PickNode chooses among candidates: nodes that are up before nodes that are
// not, trusted before avoided, untried before tried, lower priority value before
// higher, local before remote, and round robin by turn among equals. It returns -1
// only when there are no candidates: an avoided node is better than none, and so is
// one that is down, because its driver returns the reason. If no node is up, PickNode
// returns a blocked one: its reason, the alarm, tells the operator most.
func PickNode(candidates []Candidate, turn uint32) int {
	best, equals := -1, 0
	for i := range candidates {
		switch c := compareCandidates(candidates, i, best); {
		case c < 0:
			best, equals = i, 1
		case c == 0:
			equals++
		}
	}
	if equals < 2 {
		return best
	}
	skip := int(turn % uint32(equals))
	for i := range candidates {
		if compareCandidates(candidates, i, best) != 0 {
			continue
		}
		if skip == 0 {
			return i
		}
		skip--
	}
	return best
}

// compareCandidates is negative when i is better than best, 0 when equal.
func compareCandidates(cs []Candidate, i, best int) int {
	if best < 0 {
		return -1
	}
	a, b := cs[i], cs[best]
	switch {
	case a.Up != b.Up:
		return order(a.Up)
	case a.Blocked != b.Blocked:
		return order(a.Blocked)
	case a.Avoided != b.Avoided:
		return order(b.Avoided)
	case a.Tried != b.Tried:
		return order(b.Tried)
	case a.Priority != b.Priority:
		return order(a.Priority < b.Priority)
	case a.Local != b.Local:
		return order(a.Local)
	default:
		return 0
	}
}

func order(better bool) int {
	if better {
		return -1
	}
	return 1
}
