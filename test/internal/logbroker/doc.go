// Package logbroker is a different kind of broker, in memory: an append-only log for
// each topic, and an offset in it for each subscription. It has no exchanges and no
// queues.
//
// It shows that the interface of proxy/broker needs neither. It passes brokertest for
// every capability it has: order by key, where a part holds the records of a partition,
// and readable dead letters. It does not implement broker.Watcher, because a log
// removes nothing by itself. It is for tests only: the log is not bounded.
//
//	topic    │ 0 │ 1 │ 2 │ 3 │ 4 │ 5 │
//	                   ▲       ▲   ▲
//	billing      retries: 1   held next
package logbroker
