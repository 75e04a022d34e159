package account_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/warrenmesh/warren/examples/shop/account"
	"github.com/warrenmesh/warren/examples/shop/journal"
)

func Example() {
	flows := []account.Flow{{
		Name: "orders", Publisher: "checkout",
		Receivers: []account.Receiver{{Service: "audit", Subscriptions: []string{"audit", "audit-next"}}},
	}}
	books := account.Settle(flows, "run1-", map[string][]journal.Record{
		"checkout": {
			{What: journal.Published, ID: "run1-a", Topic: "orders"},
			{What: journal.Confirmed, ID: "run1-a"},
		},
		"audit": {{What: journal.Delivered, ID: "run1-a", Subscription: "audit-next"}},
	})
	fmt.Println(books.Balanced(), books.Summary())
	// Output: true 1 published, 1 confirmed, 1 delivered, 0 lost
}

// shop is a run of n orders without faults. Half of the orders went through the canary.
func shop(n int) map[string][]journal.Record {
	js := make(map[string][]journal.Record)
	put := func(service string, r journal.Record) { js[service] = append(js[service], r) }
	for i := range n {
		order := fmt.Sprintf("r-order-%d", i)
		invoice := order + "-invoice"
		suffix := []string{"", "-next"}[i%2]
		put("checkout", journal.Record{What: journal.Published, ID: order, Topic: "orders"})
		put("checkout", journal.Record{What: journal.Confirmed, ID: order, Topic: "shop/orders" + suffix, Attempt: 1})
		put("billing", journal.Record{What: journal.Published, ID: invoice, Cause: order, Topic: "invoices"})
		put("billing", journal.Record{What: journal.Confirmed, ID: invoice, Cause: order, Topic: "shop/invoices", Attempt: 1})
		for _, service := range []string{"billing", "shipping", "audit"} {
			put(service, journal.Record{What: journal.Delivered, ID: order, Subscription: service + suffix, Attempt: 1})
		}
		put("audit", journal.Record{What: journal.Delivered, ID: invoice, Subscription: "audit-invoices", Attempt: 1})
	}
	put("checkout", journal.Record{What: journal.Done})
	return js
}

func TestBooksOfAGoodRunBalance(t *testing.T) {
	t.Parallel()
	books := account.Settle(account.Shop(true), "r-", shop(10))
	if !books.Balanced() {
		t.Errorf("books do not balance: %v", books.Faults)
	}
	if got, want := books.Summary(), "20 published, 20 confirmed, 40 delivered, 0 lost"; got != want {
		t.Errorf("summary is %q, want %q", got, want)
	}
	if books.PerSubscription["shipping-next"] != 5 || books.PerSubscription["audit-invoices"] != 10 {
		t.Errorf("counts per subscription are %v", books.PerSubscription)
	}
}

func TestBooksWithoutShippingExpectNothingOfIt(t *testing.T) {
	t.Parallel()
	js := shop(4)
	delete(js, "shipping")
	books := account.Settle(account.Shop(false), "r-", js)
	if got, want := books.Summary(), "8 published, 8 confirmed, 12 delivered, 0 lost"; got != want || !books.Balanced() {
		t.Errorf("summary is %q (%v), want %q", got, books.Faults, want)
	}
}

func TestBooksWithoutEventsDoNotBalance(t *testing.T) {
	t.Parallel()
	if account.Settle(account.Shop(true), "r-", nil).Balanced() {
		t.Error("an empty run was called good")
	}
}

func TestEveryFaultIsFound(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		spoil func(map[string][]journal.Record)
		want  string // the faults, joined
		sum   string
	}{
		{
			"an order one service never received",
			func(js map[string][]journal.Record) { drop(js, "shipping", journal.Delivered, "r-order-1") },
			"shipping: 1 of orders not received (r-order-1)",
			"8 published, 8 confirmed, 15 delivered, 1 lost",
		},
		{
			"an order lost behind a duplicate of another: the sums agree, the sets do not",
			func(js map[string][]journal.Record) {
				drop(js, "audit", journal.Delivered, "r-order-1")
				js["audit"] = append(js["audit"], journal.Record{What: journal.Delivered, ID: "r-order-0", Subscription: "audit-next"})
			},
			"audit: 1 of orders not received (r-order-1)",
			"8 published, 8 confirmed, 16 delivered, 1 lost",
		},
		{
			"an order that came on the subscription of another flow",
			func(js map[string][]journal.Record) {
				drop(js, "audit", journal.Delivered, "r-order-1")
				js["audit"] = append(js["audit"], journal.Record{What: journal.Delivered, ID: "r-order-1", Subscription: "audit-invoices"})
			},
			"audit: 1 of orders not received (r-order-1); audit: 1 of invoices never published (r-order-1)",
			"8 published, 8 confirmed, 16 delivered, 1 lost",
		},
		{
			"an order that was never confirmed, though it arrived",
			func(js map[string][]journal.Record) { drop(js, "checkout", journal.Confirmed, "r-order-2") },
			"checkout: 1 of orders not confirmed (r-order-2)",
			"8 published, 7 confirmed, 16 delivered, 1 lost",
		},
		{
			"an order that was refused",
			func(js map[string][]journal.Record) {
				for i, r := range js["checkout"] {
					if r.What == journal.Confirmed && r.ID == "r-order-2" {
						js["checkout"][i].What = journal.Failed
					}
				}
			},
			"checkout: 1 of orders refused (r-order-2)",
			"8 published, 7 confirmed, 16 delivered, 1 lost",
		},
		{
			"an invoice that audit never received",
			func(js map[string][]journal.Record) { drop(js, "audit", journal.Delivered, "r-order-3-invoice") },
			"audit: 1 of invoices not received (r-order-3-invoice)",
			"8 published, 8 confirmed, 15 delivered, 1 lost",
		},
		{
			"an order that was billed without an invoice",
			func(js map[string][]journal.Record) {
				drop(js, "billing", journal.Published, "r-order-3-invoice")
				drop(js, "billing", journal.Confirmed, "r-order-3-invoice")
				drop(js, "audit", journal.Delivered, "r-order-3-invoice")
			},
			"billing: 1 of orders not followed up (r-order-3)",
			"7 published, 7 confirmed, 15 delivered, 0 lost",
		},
		{
			"an order nobody placed",
			func(js map[string][]journal.Record) {
				js["shipping"] = append(js["shipping"], journal.Record{What: journal.Delivered, ID: "r-ghost", Subscription: "shipping"})
			},
			"shipping: 1 of orders never published (r-ghost)",
			"8 published, 8 confirmed, 17 delivered, 0 lost",
		},
		{
			"a confirm of something never published",
			func(js map[string][]journal.Record) {
				js["checkout"] = append(js["checkout"], journal.Record{What: journal.Confirmed, ID: "r-ghost"})
			},
			"checkout: 1 of orders never published (r-ghost)",
			"8 published, 8 confirmed, 16 delivered, 0 lost",
		},
		{
			"a whole journal that is missing",
			func(js map[string][]journal.Record) { delete(js, "audit") },
			"audit: 4 of orders not received (r-order-0, r-order-1, r-order-2, …); " +
				"audit: 4 of invoices not received (r-order-0-invoice, r-order-1-invoice, r-order-2-invoice, …)",
			"8 published, 8 confirmed, 8 delivered, 8 lost",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			js := shop(4)
			tc.spoil(js)
			books := account.Settle(account.Shop(true), "r-", js)
			if books.Balanced() {
				t.Error("the books balance")
			}
			var faults []string
			for _, f := range books.Faults {
				faults = append(faults, f.String())
			}
			if got := strings.Join(faults, "; "); got != tc.want {
				t.Errorf("faults are %q, want %q", got, tc.want)
			}
			if got := books.Summary(); got != tc.sum {
				t.Errorf("summary is %q, want %q", got, tc.sum)
			}
		})
	}
}

func TestDuplicatesAreCountedAndNoLoss(t *testing.T) {
	t.Parallel()
	js := shop(4)
	js["audit"] = append(js["audit"],
		journal.Record{What: journal.Delivered, ID: "r-order-0", Subscription: "audit", Attempt: 2, Redelivered: true},
		journal.Record{What: journal.Delivered, ID: "r-order-0", Subscription: "audit-next", Attempt: 1})
	js["checkout"] = append(js["checkout"], journal.Record{What: journal.Confirmed, ID: "r-order-0", Attempt: 3})
	books := account.Settle(account.Shop(true), "r-", js)
	if !books.Balanced() || books.Lost != 0 {
		t.Errorf("duplicates were taken for faults: %v", books.Faults)
	}
	audit := row(t, books, "audit")
	if audit.Duplicates != 2 || audit.Redelivered != 1 || audit.Received != 8 {
		t.Errorf("audit's row is %+v, want 2 duplicates, 1 redelivered, 8 received", audit)
	}
	if c := row(t, books, "checkout"); c.Repeated != 1 || c.Confirmed != 4 {
		t.Errorf("checkout's row is %+v, want 1 repeated, 4 confirmed", c)
	}
}

func TestEventsOfEarlierRunsAreLeftovers(t *testing.T) {
	t.Parallel()
	js := shop(4)
	js["billing"] = append(js["billing"],
		journal.Record{What: journal.Delivered, ID: "old-order-1", Subscription: "billing"},
		journal.Record{What: journal.Published, ID: "old-order-1-invoice", Cause: "old-order-1", Topic: "invoices"})
	books := account.Settle(account.Shop(true), "r-", js)
	if !books.Balanced() || books.Published != 8 {
		t.Errorf("leftovers changed the books: %s, %v", books.Summary(), books.Faults)
	}
	if got := row(t, books, "billing").Leftovers; got != 1 {
		t.Errorf("%d leftovers, want 1", got)
	}
}

func drop(js map[string][]journal.Record, service, what, id string) {
	js[service] = slices.DeleteFunc(js[service], func(r journal.Record) bool { return r.What == what && r.ID == id })
}

func row(t *testing.T, books account.Books, service string) account.Row {
	t.Helper()
	for _, r := range books.Rows {
		if r.Service == service {
			return r
		}
	}
	t.Fatalf("no row for %s", service)
	return account.Row{}
}
