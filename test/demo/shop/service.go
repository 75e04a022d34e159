package shop

// Service is one of the shop's programs.
type Service struct {
	Name string
	// Subscriptions that must be open before the service counts as ready; "" means that
	// it accepts pushed events.
	Subscriptions []string
	// Node is set for the service that runs on Node.
	Node bool
}

// Services lists the services of the run; the publisher comes first.
func Services(shipping bool) []Service {
	all := []Service{
		{Name: "checkout"},
		{Name: "billing", Subscriptions: []string{""}},
	}
	if shipping {
		all = append(all, Service{Name: "shipping", Subscriptions: []string{"shipping", "shipping-next"}, Node: true})
	}
	return append(all, Service{Name: "audit", Subscriptions: []string{"audit", "audit-next", "audit-invoices"}})
}
