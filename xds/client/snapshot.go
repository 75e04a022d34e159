package client

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/warrenmesh/warren/mesh"
)

// Snapshot is one whole, consistent configuration. It is immutable.
type Snapshot struct {
	// Config is complete: every broker a topic or subscription names is in it, with
	// nodes if it has any network.
	Config *mesh.Config
	// Version is a hash over the versions of all resources the Config was made of:
	// equal versions mean equal configurations, also across restarts.
	Version string
	// FromDisk is true while the Config comes from the state file and the control
	// plane has not answered.
	FromDisk bool
	// At is when it was assembled.
	At time.Time
}

func newSnapshot(f *forms, fromDisk bool) *Snapshot {
	cfg := f.config()
	cfg.Version = versionOf(f.entries())
	return &Snapshot{Config: cfg, Version: cfg.Version, FromDisk: fromDisk, At: time.Now()}
}

func byTypeAndName(a, b *entry) int {
	return cmp.Or(cmp.Compare(a.typeURL, b.typeURL), cmp.Compare(a.name, b.name))
}

func versionOf(es []*entry) string {
	slices.SortFunc(es, byTypeAndName)
	h := xxhash.New()
	for _, e := range es {
		for _, s := range []string{e.typeURL, e.name, e.version} {
			_, _ = h.WriteString(s) // a hash never fails
			_, _ = h.Write([]byte{0})
		}
	}
	return strconv.FormatUint(h.Sum64(), 16)
}
