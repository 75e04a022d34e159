// Package cejson splits an input into CloudEvents in structured-mode JSON: NDJSON, one
// event over several lines, an array, plain or gzipped. The event format itself is
// proxy/event/eventjson's. A Reader belongs to one goroutine.
//
//	r := cejson.NewReader(os.Stdin, cejson.ReaderOptions{})
//	for {
//		rec, err := r.Next()
//		if err == io.EOF { break }
//		... rec.Line, rec.Event or rec.Err
//	}
package cejson
