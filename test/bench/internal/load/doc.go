// Package load is what every target of the comparison is put through, and the books
// that are kept meanwhile: a Feed numbers and stamps what is published and counts
// what is confirmed, a Sink checks off what is received. Whatever is missing,
// foreign, damaged or there twice is an error: a figure of a run that lost or
// repeated anything would mean nothing.
//
// It speaks to no broker. Feed and Sink are safe for concurrent use, a Lane belongs
// to one goroutine.
//
//	feed := load.NewFeed(0)
//	go target.Stream(ctx, 1024, feed)
//	...
//	feed.Stop()
package load
