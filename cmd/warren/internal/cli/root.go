// Package cli is what the commands of warren share: the root command, errors with
// their exit codes, messages, output formats, and calls to a sidecar's or a control
// plane's admin address.
//
// A command is a Command in a package of its own, which the program gives to Run.
// An App belongs to one run; its methods write to the terminal from the goroutine
// that runs the command.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/warrenmesh/warren/cmd/warren/internal/peer"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
	"github.com/warrenmesh/warren/internal/version"
)

// Exit codes: done, failed, wrong usage or configuration.
const (
	ExitOK      = 0
	ExitFailure = 1
	ExitUsage   = 2
)

// App is what all commands share during one run.
type App struct {
	*terminal.Terminal
	started bool // the command line was accepted, a command runs
}

// Command makes one command below the root.
type Command func(*App) *cobra.Command

// Run is the whole program but for the process: it returns the exit code.
func Run(ctx context.Context, term *terminal.Terminal, args []string, commands ...Command) int {
	a := &App{Terminal: term}
	root := Root(a, commands...)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	return a.exit(cmd, err)
}

// Root makes the root command, with version below it.
func Root(a *App, commands ...Command) *cobra.Command {
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
	for _, command := range append(commands, newVersion) {
		root.AddCommand(command(a))
	}
	return root
}

// wrapped makes flag descriptions fit 80 columns.
func wrapped(template string) string {
	return strings.NewReplacer(
		".LocalFlags.FlagUsages", ".LocalFlags.FlagUsagesWrapped 80",
		".InheritedFlags.FlagUsages", ".InheritedFlags.FlagUsagesWrapped 80",
	).Replace(template)
}

// ErrReported is a failure that the command has already explained.
var ErrReported = errors.New("reported")

// usageError is a mistake on the command line or in what it points at.
type usageError struct{ error }

// Usage makes err a mistake on the command line: it ends the program with ExitUsage.
func Usage(err error) error { return usageError{err} }

// Usagef is Usage of a new error.
func Usagef(format string, args ...any) error {
	return Usage(fmt.Errorf(format, args...))
}

// CallError is a failed call to a sidecar or control plane.
type CallError struct {
	peer.Failure
	Op      string // "subscribe to billing"
	What    string // "sidecar", "control plane"
	Address string
}

// Error implements error.
func (e *CallError) Error() string { return e.Op + ": " + e.Title() + ": " + e.Message }

// exit prints what is left to say about err and chooses the exit code. Errors from
// before a command ran are cobra's, about the command line.
func (a *App) exit(cmd *cobra.Command, err error) int {
	style := a.ErrStyle()
	var usage usageError
	var call *CallError
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, ErrReported):
		return ExitFailure
	case errors.As(err, &call):
		a.Errorf("%s", style.Red(call.Op+": "+call.Title()))
		a.Notef("  %s", call.Message)
		a.Hint(call.Hint(call.What, call.Address))
		return ExitFailure
	case errors.As(err, &usage), !a.started:
		a.Errorf("%s", style.Red(err.Error()))
		a.Hint("see " + cmd.CommandPath() + " --help")
		return ExitUsage
	default:
		a.Errorf("%s", style.Red(err.Error()))
		return ExitFailure
	}
}

// Errorf writes a line that --quiet does not silence.
func (a *App) Errorf(format string, args ...any) {
	fmt.Fprintf(a.Err, "warren: "+format+"\n", args...)
}

// Notef writes a line that belongs to an error.
func (a *App) Notef(format string, args ...any) {
	fmt.Fprintf(a.Err, format+"\n", args...)
}

// Sayf writes a message unless --quiet.
func (a *App) Sayf(format string, args ...any) {
	if !a.Quiet {
		a.Notef(format, args...)
	}
}

// Hint writes advice on its own line; "" is none.
func (a *App) Hint(text string) {
	if text != "" {
		a.Notef("  hint: %s", a.ErrStyle().Bold(text))
	}
}

// Address returns the flag's value, else the variable's, else the flag's default.
func (a *App) Address(cmd *cobra.Command, flag, env string) string {
	value, _ := cmd.Flags().GetString(flag) // the flag exists
	if fromEnv := a.Getenv(env); fromEnv != "" && !cmd.Flags().Changed(flag) {
		return fromEnv
	}
	return value
}

// OneOf checks the value of a flag that has a list of values.
func OneOf(flag, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return Usagef("--%s %q: want %s", flag, value, strings.Join(allowed, ", "))
}

// Exactly wants one argument, which it names.
func Exactly(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return Usagef("%s is missing", what)
		case 1:
			return nil
		default:
			return Usagef("unexpected argument %q: want only %s", args[1], what)
		}
	}
}

// CheckDir wants dir to be a directory of configuration.
func CheckDir(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return Usagef("configuration: %w", err)
	}
	if !info.IsDir() {
		return Usagef("configuration: %s is no directory", dir)
	}
	return nil
}
