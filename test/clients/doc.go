// Package clients holds docs/clients to its word: every command of those pages is
// run as it stands there, every program shown is the file that is run, and the
// programs of each language must publish, receive and be pushed to through a real
// mesh while a relay before the sidecar breaks streams and hides answers.
//
// It owns no client of its own. A language whose tools are not on this machine is
// skipped with the reason, unless the environment variable WARREN_CLIENTS names it
// ("node,python"): then that is a failure. The mesh is `warren dev`, so no broker is
// needed.
package clients
