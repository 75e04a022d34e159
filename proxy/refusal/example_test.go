package refusal_test

import (
	"fmt"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/refusal"
)

func ExampleFromBroker() {
	err := refusal.FromBroker(&broker.Error{Kind: broker.ConfirmTimeout, Outcome: broker.Unknown, Op: `publish to exchange "orders"`})
	refused := refusal.Of(err)
	fmt.Println(refused.Reason, refused.Outcome)
	// Output: CONFIRM_TIMEOUT unknown
}
