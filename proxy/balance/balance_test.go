package balance_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/warrenmesh/warren/internal/budget"
	"github.com/warrenmesh/warren/proxy/balance"
)

func TestWeightedFollowsItsWeights(t *testing.T) {
	t.Parallel()
	for _, weights := range [][]uint32{{1}, {95, 5}, {1, 1, 1}, {0, 1}, {1, 0, 3}, {1 << 20, 1}} {
		t.Run(fmt.Sprint(weights), func(t *testing.T) {
			t.Parallel()
			const n = 200_000
			r := rand.New(rand.NewPCG(1, 2))
			w := balance.NewWeighted(weights)
			counts := make([]int, len(weights))
			for range n {
				counts[w.Pick(r.Uint32())]++
			}
			var sum float64
			for _, weight := range weights {
				sum += float64(weight)
			}
			for i, weight := range weights {
				want := float64(weight) / sum
				if got := float64(counts[i]) / n; got < want-0.01 || got > want+0.01 {
					t.Errorf("index %d: share %.3f, want %.3f", i, got, want)
				}
				if weight == 0 && counts[i] > 0 {
					t.Errorf("index %d has weight 0 and was picked %d times", i, counts[i])
				}
			}
		})
	}
}

func TestPickNode(t *testing.T) {
	t.Parallel()
	up, down := balance.Candidate{Up: true}, balance.Candidate{}
	tried := balance.Candidate{Up: true, Tried: true}
	second := balance.Candidate{Up: true, Priority: 1}
	avoided := balance.Candidate{Up: true, Avoided: true}
	near := balance.Candidate{Up: true, Local: true}
	for name, test := range map[string]struct {
		candidates []balance.Candidate
		want       []int // for turns 0, 1, 2
	}{
		"none gives -1":                                   {nil, []int{-1, -1, -1}},
		"equals take turns":                               {[]balance.Candidate{up, up, up}, []int{0, 1, 2}},
		"a node that is down is passed over":              {[]balance.Candidate{down, up}, []int{1, 1, 1}},
		"a lower priority value wins":                     {[]balance.Candidate{second, up}, []int{1, 1, 1}},
		"the second priority stands in":                   {[]balance.Candidate{down, second}, []int{1, 1, 1}},
		"an untried node wins over a tried one":           {[]balance.Candidate{tried, up}, []int{1, 1, 1}},
		"an untried second wins over a tried first":       {[]balance.Candidate{tried, second}, []int{1, 1, 1}},
		"a tried node that is up wins over a down one":    {[]balance.Candidate{tried, down}, []int{0, 0, 0}},
		"all down still gives one":                        {[]balance.Candidate{down, down}, []int{0, 1, 0}},
		"a blocked node wins over a down one":             {[]balance.Candidate{down, {Blocked: true}, down}, []int{1, 1, 1}},
		"but not over one that is up":                     {[]balance.Candidate{{Blocked: true}, up}, []int{1, 1, 1}},
		"a trusted node wins over an avoided one":         {[]balance.Candidate{avoided, up, up}, []int{1, 2, 1}},
		"even one that was tried":                         {[]balance.Candidate{avoided, tried}, []int{1, 1, 1}},
		"even one of the second priority":                 {[]balance.Candidate{avoided, second}, []int{1, 1, 1}},
		"the last that is up is never avoided":            {[]balance.Candidate{avoided, down}, []int{0, 0, 0}},
		"all avoided take turns":                          {[]balance.Candidate{avoided, avoided}, []int{0, 1, 0}},
		"a local node wins over a remote one":             {[]balance.Candidate{up, near, up, near}, []int{1, 3, 1}},
		"a remote one stands in for a local that is down": {[]balance.Candidate{{Local: true}, up, up}, []int{1, 2, 1}},
		"and for one that was tried":                      {[]balance.Candidate{{Up: true, Local: true, Tried: true}, up}, []int{1, 1, 1}},
		"and for one that is avoided":                     {[]balance.Candidate{{Up: true, Local: true, Avoided: true}, up}, []int{1, 1, 1}},
		"priority goes before zone":                       {[]balance.Candidate{{Up: true, Local: true, Priority: 1}, up}, []int{1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for turn, want := range test.want {
				if got := balance.PickNode(test.candidates, uint32(turn)); got != want {
					t.Errorf("turn %d: picked %d, want %d", turn, got, want)
				}
			}
		})
	}
}

// Budget: no allocation.
func BenchmarkPickNode(b *testing.B) {
	candidates := []balance.Candidate{{Up: true}, {Up: true, Local: true}, {Up: true, Priority: 1}}
	budget.Allocs(b, 0)
	for b.Loop() {
		_ = balance.PickNode(candidates, 1)
	}
}

// Budget: no allocation.
func BenchmarkWeightedPick(b *testing.B) {
	w := balance.NewWeighted([]uint32{95, 5})
	budget.Allocs(b, 0)
	for b.Loop() {
		_ = w.Pick(1 << 30)
	}
}
