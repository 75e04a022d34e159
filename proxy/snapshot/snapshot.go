package snapshot

import (
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/route"
)

// Snapshot is one compiled configuration. It and everything it leads to is immutable.
type Snapshot struct {
	// Config is what it was compiled from; Config.Version names it.
	Config *mesh.Config
	// At is when Config was put together.
	At time.Time
	// Topics and Subscriptions are what it means to those who publish and deliver.
	Topics        *route.Table
	Subscriptions map[mesh.Name]*Subscription

	superseded chan struct{} // closed when a newer one is in force
}

// compile builds the snapshot of cfg.
func compile(cfg *mesh.Config, at time.Time) *Snapshot {
	return &Snapshot{
		Config: cfg, At: at, Topics: route.Compile(cfg), Subscriptions: Subscriptions(cfg),
		superseded: make(chan struct{}),
	}
}
