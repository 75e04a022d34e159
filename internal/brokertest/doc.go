// Package brokertest is the conformance suite every broker.Driver passes.
//
// It owns the behaviours, one subtest each, named as a sentence; they are the contract of
// package broker in executable form. It knows topics, subscriptions and outcomes, and
// nothing of how a broker keeps them. What only some drivers can do is proven where a
// driver has the interface for it: broker.KeyOrder, broker.Letters, broker.Watcher.
//
//	func TestConformance(t *testing.T) {
//		t.Parallel()
//		brokertest.Run(t, brokertest.Harness{Name: "membroker", New: newNode})
//	}
//
// All behaviours run in parallel, on names that are unique in each, so that the suite can
// share a broker with anything else. Run ends with one line, in the test's log and on
// standard output, with the number of behaviours that ran and passed, and the version that
// State.Server ends with:
//
//	brokertest: rabbit 3.10.8: 28 behaviours
package brokertest
