package limit_test

import (
	"fmt"

	"github.com/warrenmesh/warren/proxy/limit"
)

func ExampleBudget() {
	b := limit.NewBudget(2, 1000)
	fmt.Println(b.TryTake(600), b.TryTake(600)) // the second exceeds the bytes
	b.Give(600)
	fmt.Println(b.TryTake(600))
	fmt.Println(b.InUse())
	// Output:
	// true false
	// true
	// 1 600
}
