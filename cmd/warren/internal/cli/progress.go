package cli

import (
	"context"
	"sync"

	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

// ShowProgress draws until the returned function is called.
func (a *App) ShowProgress(ctx context.Context, noun string, count func() terminal.Count) func() {
	if a.Quiet {
		return func() {}
	}
	width := a.ErrWidth
	if a.Getenv("TERM") == "dumb" {
		width = 0
	}
	bar := terminal.Progress{Out: a.Err, Width: width, Noun: noun, Style: a.ErrStyle(), Count: count}
	// Ctrl-C leaves the bar: what is under way is still waited for.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var drawing sync.WaitGroup
	drawing.Go(func() { bar.Run(ctx) })
	return func() {
		cancel()
		drawing.Wait()
	}
}
