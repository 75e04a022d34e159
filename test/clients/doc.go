// Package clients tests docs/clients. Every command of those pages is run, and every
// program shown must be the file that is run. The programs of each language must
// publish, receive and be pushed to through a real mesh, while a relay in front of the
// sidecar breaks streams and hides answers.
//
// It owns no client of its own. A language whose tools are not installed is skipped
// with the reason, unless the environment variable WARREN_CLIENTS names it
// ("node,python"): then it fails. The mesh is `warren dev`, so no broker is needed.
package clients
