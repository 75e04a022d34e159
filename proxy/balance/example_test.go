package balance_test

import (
	"fmt"

	"github.com/warrenmesh/warren/proxy/balance"
)

func ExamplePickNode() {
	nodes := []balance.Candidate{
		{Priority: 0, Up: false},             // preferred, but down
		{Priority: 1, Up: true},              // remote
		{Priority: 1, Up: true, Local: true}, // in the sidecar's zone
	}
	fmt.Println(balance.PickNode(nodes, 1))
	// Output: 2
}

func ExampleWeighted_Pick() {
	w := balance.NewWeighted([]uint32{9, 1}) // 10 % to the second
	fmt.Println(w.Pick(0), w.Pick(1<<31), w.Pick(1<<32-1))
	// Output: 0 0 1
}
