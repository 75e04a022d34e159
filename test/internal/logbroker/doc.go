// Package logbroker is a broker of another kind, in memory: an append-only log for each
// topic, and for each subscription an offset in it. There are no exchanges and no queues.
//
// It is the proof that the seam of proxy/broker needs none: it passes brokertest in all
// that it claims, which is order by key (a part is the records of a partition) and dead
// letters that can be read. It claims no broker.Watcher, for a log takes nothing out by
// itself. It is for tests alone: nothing bounds the log.
//
//	topic    │ 0 │ 1 │ 2 │ 3 │ 4 │ 5 │
//	                   ▲       ▲   ▲
//	billing      retries: 1   held next
package logbroker
