package broker_test

import (
	"fmt"

	"github.com/warrenmesh/warren/proxy/broker"
)

func ExampleKindOf() {
	err := fmt.Errorf("publish order-17: %w", &broker.Error{Kind: broker.Nacked, Outcome: broker.Unknown})
	fmt.Println(broker.KindOf(err) == broker.Nacked)
	fmt.Println(broker.OutcomeOf(err)) // the broker may have the event
	// Output:
	// true
	// unknown
}
