package install

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"
)

// Want says which RabbitMQ is wanted. The zero value means any.
type Want struct {
	// Version is a version, or how one begins: "4.3" is 4.3.0 as well as 4.3.6. ""
	// means any.
	Version string
	// Cache is the directory for RabbitMQs of a wanted version that is not installed.
	// "" means that none is fetched.
	Cache string
}

// WantFrom reads the environment of make's targets. RABBITMQ is the version. CACHE_DIR
// is the cache, by default warren in the user's cache directory.
func WantFrom(getenv func(string) string) Want {
	cache := getenv("CACHE_DIR")
	if cache == "" {
		base := getenv("XDG_CACHE_HOME")
		if home := getenv("HOME"); base == "" && home != "" {
			base = filepath.Join(home, ".cache")
		}
		if base != "" {
			cache = filepath.Join(base, "warren")
		}
	}
	return Want{Version: getenv("RABBITMQ"), Cache: cache}
}

// String is the wanted RabbitMQ for people.
func (w Want) String() string { return "RabbitMQ " + cmp.Or(w.Version, "of any version") }

// Accepts reports whether a version is a wanted one.
func (w Want) Accepts(version string) bool {
	return w.Version == "" || version == w.Version || strings.HasPrefix(version, w.Version+".")
}

// Check returns an error unless a server, by its product and version, is wanted.
func (w Want) Check(server string) error {
	if _, version, _ := strings.Cut(server, " "); !w.Accepts(version) {
		return fmt.Errorf("%w: it is %s, and %v is wanted", ErrNotHere, server, w)
	}
	return nil
}
