// Command controlplane is Warren's control plane: it turns declared kinds into xDS
// resources, pushes them to sidecars, and tracks which version each of them runs.
package main

import (
	"os"

	"github.com/warrenmesh/warren/cmd/internal/daemon"
)

func main() {
	os.Exit(daemon.Main(newCommand()))
}
