// Package snapshot is the configuration in force: one immutable value behind one pointer.
//
// A Store builds a Snapshot of each configuration that Apply is given and puts it in the
// place of the one before, as a whole. When it cannot be put in force, Apply returns the
// reason and the one before stays. The package knows what a configuration means to the
// rooms that use it, and not where it comes from: Options.Fetch asks for more of it.
//
// Apply is called by one goroutine at a time; everything else is safe for concurrent use,
// and takes no lock.
//
//	store := snapshot.New(snapshot.Options{Brokers: pool, Fetch: fetch})
//	err := store.Apply(cfg, at)                   // nil: in force
//	topic, err := store.Await(ctx, name)          // waits for a topic that was never used
//	sub, superseded, err := store.Subscription(name)
package snapshot
