package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/warrenmesh/warren/cmd/warren/internal/peer"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
	"github.com/warrenmesh/warren/internal/version"
)

// Exit codes (WIRE §4).
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// app is what all commands share during one run.
type app struct {
	*terminal.Terminal
	started bool // the command line was accepted, a command runs
}

// run is the whole program but for the process: it returns the exit code.
func run(ctx context.Context, term *terminal.Terminal, args []string) int {
	a := &app{Terminal: term}
	root := newRoot(a)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	return a.exit(cmd, err)
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "warren",
		Short: "Publish, receive and inspect events in a Warren mesh",
		Long: `warren is the command-line tool for the Warren event mesh.

It publishes and receives events through the sidecar on this machine, asks the
control plane which configuration is active, validates configuration files, and
runs a whole mesh in one process for a first look.`,
		Example: `  warren dev ./config --workload checkout --workload billing
  warren publish orders --type com.shop.order.placed --source /me --data '{}'
  warren subscribe billing -o json
  warren tail orders
  warren status`,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRun: func(*cobra.Command, []string) {
			a.started = true
		},
	}
	root.Version = version.Current().String() // what many try first
	root.SetVersionTemplate("warren {{.Version}}\n")
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.SetUsageTemplate(wrapped(root.UsageTemplate()))
	root.Flags().Bool("version", false, "print which build this is")
	flags := root.PersistentFlags()
	flags.BoolVar(&a.NoColor, "no-color", false, "no colour, as with NO_COLOR=1")
	flags.BoolVarP(&a.Quiet, "quiet", "q", false, "only data and errors: no progress, no summary")
	root.AddCommand(newPublish(a), newSubscribe(a), newTail(a), newDeadLetter(a), newStatus(a), newConfig(a), newDrain(a), newDev(a), newVersion(a))
	a.addCompletions(root)
	return root
}

// wrapped makes flag descriptions fit 80 columns.
func wrapped(template string) string {
	return strings.NewReplacer(
		".LocalFlags.FlagUsages", ".LocalFlags.FlagUsagesWrapped 80",
		".InheritedFlags.FlagUsages", ".InheritedFlags.FlagUsagesWrapped 80",
	).Replace(template)
}

// errReported is a failure that the command has already explained.
var errReported = errors.New("reported")

// usageError is a mistake on the command line or in what it points at.
type usageError struct{ error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// callError is a failed call to a sidecar or control plane.
type callError struct {
	peer.Failure
	op      string // "subscribe to billing"
	what    string // "sidecar", "control plane"
	address string
}

func (e *callError) Error() string { return e.op + ": " + e.Title() + ": " + e.Message }

// exit prints what is left to say about err and chooses the exit code. Errors from
// before a command ran are cobra's, about the command line.
func (a *app) exit(cmd *cobra.Command, err error) int {
	style := a.ErrStyle()
	var usage usageError
	var call *callError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errReported):
		return exitFailure
	case errors.As(err, &call):
		a.errorf("%s", style.Red(call.op+": "+call.Title()))
		a.notef("  %s", call.Message)
		a.hint(call.Hint(call.what, call.address))
		return exitFailure
	case errors.As(err, &usage), !a.started:
		a.errorf("%s", style.Red(err.Error()))
		a.hint("see " + cmd.CommandPath() + " --help")
		return exitUsage
	default:
		a.errorf("%s", style.Red(err.Error()))
		return exitFailure
	}
}

// errorf writes a line that --quiet does not silence.
func (a *app) errorf(format string, args ...any) {
	fmt.Fprintf(a.Err, "warren: "+format+"\n", args...)
}

// notef writes a line that belongs to an error.
func (a *app) notef(format string, args ...any) {
	fmt.Fprintf(a.Err, format+"\n", args...)
}

// sayf writes a message unless --quiet.
func (a *app) sayf(format string, args ...any) {
	if !a.Quiet {
		a.notef(format, args...)
	}
}

// hint writes advice on its own line; "" is none.
func (a *app) hint(text string) {
	if text != "" {
		a.notef("  hint: %s", a.ErrStyle().Bold(text))
	}
}

// address returns the flag's value, else the variable's, else the flag's default.
func (a *app) address(cmd *cobra.Command, flag, env string) string {
	value, _ := cmd.Flags().GetString(flag) // the flag exists
	if fromEnv := a.Getenv(env); fromEnv != "" && !cmd.Flags().Changed(flag) {
		return fromEnv
	}
	return value
}

// oneOf checks the value of a flag that has a list of values.
func oneOf(flag, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return usagef("--%s %q: want %s", flag, value, strings.Join(allowed, ", "))
}

// exactly wants one argument, which it names.
func exactly(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return usagef("%s is missing", what)
		case 1:
			return nil
		default:
			return usagef("unexpected argument %q: want only %s", args[1], what)
		}
	}
}
