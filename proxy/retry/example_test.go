package retry_test

import (
	"fmt"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/retry"
)

func ExamplePolicy_Next() {
	policy := retry.NewPolicy(mesh.Retry{
		Attempts: 3,
		On:       []mesh.RetryOn{mesh.OnNack},
		Backoff:  mesh.Backoff{Base: 50 * time.Millisecond, Max: 2 * time.Second},
	})
	nacked := &broker.Error{Kind: broker.Nacked}
	for attempt := uint32(1); attempt <= 3; attempt++ {
		delay, again := policy.Next(attempt, nacked, 0)
		fmt.Println(attempt, again, delay)
	}
	_, again := policy.Next(1, &broker.Error{Kind: broker.Unroutable}, 0)
	fmt.Println("unroutable:", again)
	// Output:
	// 1 true 50ms
	// 2 true 100ms
	// 3 false 0s
	// unroutable: false
}
