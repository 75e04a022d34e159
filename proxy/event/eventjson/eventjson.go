// Package eventjson reads and writes CloudEvents 1.0 in the JSON event format, as
// structured mode has it: the one decoder for messages on the queue, for files and for
// what the command-line tool prints.
//
// The format is held to: required attributes and those the specification types must be
// right, a name is of a-z and 0-9, a value is a string, an integer, a boolean or null
// (which means absent), and no member occurs twice, because readers disagree about
// which one counts. What the format leaves to the producer is taken: an extension may
// be empty, and an integer of more than 32 bits becomes the String of its digits, as in
// binary mode. Payloads keep their bytes: a JSON data member is taken exactly as it
// stands. Functions are safe for concurrent use.
//
//	e, err := eventjson.Decode(body) // e is valid
//	line := eventjson.Append(nil, e)
package eventjson

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
