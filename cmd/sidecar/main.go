// Command sidecar is Warren's data plane beside one service: it offers the event
// API on loopback and speaks AMQP to the broker.
package main

import (
	"os"

	"github.com/warrenmesh/warren/cmd/internal/daemon"
)

func main() {
	os.Exit(daemon.Main(newCommand()))
}
