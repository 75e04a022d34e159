package report_test

import (
	"fmt"

	"github.com/warrenmesh/warren/controlplane/report"
	"github.com/warrenmesh/warren/mesh"
)

func ExampleStore() {
	store := report.New(report.Options{})
	store.Configure(&report.Mesh{
		Brokers: []mesh.Name{{Namespace: "shop", Name: "main"}},
		Subscriptions: []*mesh.Subscription{{
			Name: mesh.Name{Namespace: "shop", Name: "billing"}, Broker: mesh.Name{Namespace: "shop", Name: "main"},
			Queue: mesh.Queue{Name: "orders.billing"}, DeadLetterQueue: "orders.billing.dead",
		}},
	})
	for _, s := range store.Traffic("").GetSubscriptions() {
		fmt.Println(s.GetSubscription(), s.GetRate(), s.GetDepth() == nil)
	}
	// Output: shop/billing 0 true
}
