package v1alpha1

import "strings"

// DidYouMean returns ` (did you mean "x"?)` for the candidate nearest to value, or ""
// when none is near. A candidate is near when at most a third of the letters differ,
// ignoring case.
func DidYouMean(value string, candidates []string) string {
	best, bestDistance := "", len(value)/3+1
	for _, c := range candidates {
		if d := distance(strings.ToLower(value), strings.ToLower(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	if best == "" || value == "" {
		return ""
	}
	return ` (did you mean "` + best + `"?)`
}

// distance is the optimal string alignment distance in bytes: insertions,
// deletions, substitutions and swaps of neighbours cost 1.
func distance(a, b string) int {
	previous2, previous, current := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		current[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				current[j] = min(current[j], previous2[j-2]+1)
			}
		}
		previous2, previous, current = previous, current, previous2
	}
	return previous[len(b)]
}
