// Package clip bounds text that comes from others before it is kept or repeated. It
// imports the standard library alone.
package clip

import "strings"

// String returns s if it has at most most bytes. Of a longer one it returns the beginning,
// without a character that the bound would cut in half and without bytes that are no UTF-8.
// It shares the memory of s where nothing had to be left out.
func String(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}
