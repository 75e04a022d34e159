package delta

import (
	"slices"
	"strings"

	"github.com/warrenmesh/warren/xds"
)

// Types that are served, in the order in which one update is told to one stream: what is
// referred to goes first.
var Types = [...]string{xds.TypeCluster, xds.TypeEndpoint, xds.TypeListener, xds.TypeRoute}

// Key names a resource.
type Key struct {
	Kind int8 // place of its type in Types, -1 for a type that is not served
	Name string
}

// KeyOf returns the key of a resource.
func KeyOf(typeURL, name string) Key { return Key{KindOf(typeURL), name} }

// KindOf is the place of a type in Types, -1 for a type that is not served.
func KindOf(typeURL string) int8 { return int8(slices.Index(Types[:], typeURL)) } //nolint:gosec // there are few

// ShortType is the last word of a type URL.
func ShortType(typeURL string) string { return typeURL[strings.LastIndexByte(typeURL, '.')+1:] }
