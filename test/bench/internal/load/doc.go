// Package load defines the load that every target of the comparison gets, and checks
// it. A Feed numbers and stamps the published messages and counts the confirmed ones; a
// Sink checks the received ones. A missing, foreign, damaged or repeated message is an
// error, because the figures of such a run would mean nothing.
//
// It does not connect to a broker. Feed and Sink are safe for concurrent use; a Lane
// belongs to one goroutine.
//
//	feed := load.NewFeed(0)
//	go target.Stream(ctx, 1024, feed)
//	...
//	feed.Stop()
package load
