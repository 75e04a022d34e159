package balance_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

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
	for name, test := range map[string]struct {
		candidates []balance.Candidate
		want       []int // for turns 0, 1, 2
	}{
		"none gives -1":                                {nil, []int{-1, -1, -1}},
		"equals take turns":                            {[]balance.Candidate{up, up, up}, []int{0, 1, 2}},
		"a node that is down is passed over":           {[]balance.Candidate{down, up}, []int{1, 1, 1}},
		"a lower priority value wins":                  {[]balance.Candidate{second, up}, []int{1, 1, 1}},
		"the second priority stands in":                {[]balance.Candidate{down, second}, []int{1, 1, 1}},
		"an untried node wins over a tried one":        {[]balance.Candidate{tried, up}, []int{1, 1, 1}},
		"an untried second wins over a tried first":    {[]balance.Candidate{tried, second}, []int{1, 1, 1}},
		"a tried node that is up wins over a down one": {[]balance.Candidate{tried, down}, []int{0, 0, 0}},
		"all down still gives one":                     {[]balance.Candidate{down, down}, []int{0, 1, 0}},
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

func BenchmarkWeightedPick(b *testing.B) {
	w := balance.NewWeighted([]uint32{95, 5})
	b.ReportAllocs()
	for b.Loop() {
		_ = w.Pick(1 << 30)
	}
}
