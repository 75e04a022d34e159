package mesh_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/warrenmesh/warren/mesh"
)

// order is ascending; text order would put "a-b/x" before "a/x", since '-' comes before '/'.
var order = []mesh.Name{
	{}, {Name: "x"}, {Namespace: "a", Name: "x"}, {Namespace: "a", Name: "x-1"}, {Namespace: "a", Name: "x.y"}, {Namespace: "a", Name: "xa"},
	{Namespace: "a-b", Name: "a"}, {Namespace: "a1", Name: "a"}, {Namespace: "ab", Name: ""}, {Namespace: "b", Name: "a"},
}

func TestNamesHaveATotalOrder(t *testing.T) {
	t.Parallel()
	sign := func(n int) int { return max(-1, min(1, n)) }
	for i, n := range order {
		for j, m := range order {
			if got, want := sign(n.Compare(m)), sign(i-j); got != want {
				t.Errorf("%s compared with %s is %d, want %d", n, m, got, want)
			}
		}
	}
}

func TestSortedDoesNotDependOnTheMap(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	for range 50 {
		of := map[mesh.Name]int{}
		for _, i := range random.Perm(len(order)) {
			of[order[i]] = i
		}
		if got := mesh.Sorted(of); !slices.Equal(got, order) {
			t.Fatalf("sorted is %v", got)
		}
		if !slices.Equal(slices.Sorted(maps.Values(of)), []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
			t.Fatal("the map has changed")
		}
	}
	if got := mesh.Sorted(map[mesh.Name]bool(nil)); len(got) != 0 {
		t.Errorf("of nothing it is %v", got)
	}
}

// What String writes, ParseName reads, whatever namespace it is asked in.
func FuzzANameSurvivesBeingWritten(f *testing.F) {
	f.Add("orders", "shop")
	f.Add("a.b-c.9", "x")
	f.Add("billing/orders", "shop")
	f.Add("a/b/c", "")
	f.Fuzz(func(t *testing.T, text, namespace string) {
		n, err := mesh.ParseName(text, namespace)
		if err != nil {
			if n != (mesh.Name{}) {
				t.Errorf("a refused name is %q", n)
			}
			return
		}
		if again, err := mesh.ParseName(n.String(), "elsewhere"); err != nil || again != n || again.Compare(n) != 0 {
			t.Errorf("%q became %q, %v", n, again, err)
		}
	})
}
