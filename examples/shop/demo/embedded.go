package main

import (
	"context"
)

// startEmbedded starts control plane and sidecars in one process.
func (d *demo) startEmbedded(ctx context.Context) error {
	return nil
}
