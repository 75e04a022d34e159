// Package cejson reads and writes CloudEvents 1.0 in structured-mode JSON.
//
// It owns the JSON event format (CloudEvents 1.0.2, "JSON Event Format") and the
// splitting of an input into events: NDJSON, one event over several lines, an
// array, plain or gzipped. The protobuf form is proxy/event/eventpb's. Payloads
// keep their bytes: a JSON `data` member is taken exactly as it stands in the
// input. Functions are safe for concurrent use; a Reader belongs to one goroutine.
//
//	r := cejson.NewReader(os.Stdin, cejson.ReaderOptions{})
//	for {
//		rec, err := r.Next()
//		if err == io.EOF { break }
//		... rec.Line, rec.Event or rec.Err
//	}
package cejson

import (
	"mime"
	"strings"
)

const (
	memberData       = "data"
	memberDataBase64 = "data_base64"

	// defaultContentType is what an event without datacontenttype means in the
	// JSON format; it is made explicit, because other formats do not imply it.
	defaultContentType = "application/json"
)

// IsJSON reports whether a datacontenttype declares JSON: subtype "json" or a
// "+json" suffix, whatever the parameters. A value that is no media type is not.
func IsJSON(contentType string) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	_, subtype, _ := strings.Cut(mediaType, "/")
	return subtype == "json" || strings.HasSuffix(subtype, "+json")
}
