// Package daemon is what Warren's daemons have in common on the command line:
// layered settings, logging, signals and exit codes. Only cmd uses it.
//
// Settings come from, later ones winning: the flags' defaults, a YAML file named
// by --config, the environment (WARREN_ and the flag's name in capitals, with
// underscores), and flags given on the command line.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/warrenmesh/warren/tracing/tracecontext"
)

// Exit codes.
const (
	ExitOK      = 0
	ExitFailure = 1 // runtime failure
	ExitUsage   = 2 // wrong flags or settings
)

// UsageError is an error in flags or settings; Main exits with ExitUsage.
type UsageError struct{ Err error }

// Error implements error.
func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *UsageError) Unwrap() error { return e.Err }

// Main runs the command and returns the process's exit code. The first SIGINT or
// SIGTERM ends the command's context; a second one ends the process at once, with
// the code the shell gives a process killed by that signal.
func Main(cmd *cobra.Command) int {
	ctx, stop := signalContext()
	defer stop()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &UsageError{err} })
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return &UsageError{err}
			}
			return nil
		}
	}
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s: %v\n", cmd.Name(), err)
	var usage *UsageError
	if errors.As(err, &usage) {
		fmt.Fprintf(cmd.ErrOrStderr(), "See '%s --help'.\n", cmd.Name())
		return ExitUsage
	}
	return ExitFailure
}

func signalContext() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { // ends with the process: it must outlive everything else
		<-signals
		cancel()
		second := <-signals
		if s, ok := second.(syscall.Signal); ok {
			os.Exit(128 + int(s))
		}
		os.Exit(ExitFailure)
	}()
	return ctx, cancel
}

// NewLogger returns the daemon's logger and the level that can be changed while it
// runs. Format is "json", "text", or "auto": text for somebody at a terminal, else JSON.
func NewLogger(w io.Writer, format, level, component, version string) (*slog.Logger, *slog.LevelVar, error) {
	lv := new(slog.LevelVar)
	if err := lv.UnmarshalText([]byte(level)); err != nil {
		return nil, nil, &UsageError{fmt.Errorf("log-level %q: want debug, info, warn or error", level)}
	}
	opts := &slog.HandlerOptions{Level: lv}
	var h slog.Handler
	switch {
	case format == "text", format == "auto" && isTerminal(w):
		h = slog.NewTextHandler(w, opts) // a duration is "1.5s"; in JSON it is nanoseconds
	case format == "json", format == "auto":
		h = slog.NewJSONHandler(w, opts)
	default:
		return nil, nil, &UsageError{fmt.Errorf("log-format %q: want auto, json or text", format)}
	}
	return slog.New(tracecontext.LogHandler(h)).With("component", component, "version", version), lv, nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) //nolint:gosec // a descriptor fits
}
