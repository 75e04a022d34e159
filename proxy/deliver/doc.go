// Package deliver is the way of an event from its broker to the service beside the
// sidecar, and of the service's outcome back: receive → filter → hand out → settle. It
// knows subscriptions, deliveries and outcomes, and nothing of how a broker keeps them.
//
// A delivery is at its end only when its outcome is durable: the driver sees to that
// (broker.Delivery.Settle). The rooms, from the broker to the service and back; this package
// puts them together, and each knows only those below it. Doors import session, push and
// delivery; the others are folders of internal/:
//
//	session   push       a client's stream; calls to a service
//	   └──┬────┘
//	    intake           from the broker, in the order of keys
//	      │
//	   settler           whether a delivery is wanted, and its outcome
//	   ┌──┴──┬───────┐
//	ledger  keys ◀─ delivery
//
// A delivery's life:
//
//	broker ──▶ waiting for credit ──▶ handed out ──┬─ ack ─────────▶ gone
//	  ▲                                            ├─ retry ───────▶ waits there ──▶ broker (attempt+1)
//	  │                                            ├─ dead-letter ─▶ a dead letter
//	  │                                            └─ ack deadline ▶ as retry
//	  └──── stream or epoch ends ◀─────────────────┘
//
// A subscription that is ordered by key has a part for each partition, and
// a delivery keeps its place:
//
//	parts ──▶ in the line of its key ──▶ handed out ──┬─ ack ─────────▶ gone, the next of its key
//	  ▲              ▲                                ├─ dead-letter ─▶ a dead letter, then as ack
//	  │              └──── waits, and its key ◀───────┴─ retry, ack deadline
//	  └──── stream or epoch ends, or the part is given up
package deliver
