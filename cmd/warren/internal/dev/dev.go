// Package dev is warren dev: a whole mesh in one process.
package dev

import (
	"context"
	_ "embed" // the example
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/warrenmesh/warren/cmd/internal/daemon"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/dev/devmesh"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
	"github.com/warrenmesh/warren/controlplane"
	"github.com/warrenmesh/warren/controlplane/source/file"
	"github.com/warrenmesh/warren/internal/version"
	"github.com/warrenmesh/warren/tracing"
)

//go:embed example/config.yaml
var exampleConfig []byte

// devFlags are the flags of warren dev.
type devFlags struct {
	workloads      []string
	portOffset     uint16
	namespace      string
	broker         string
	credentialsDir string
	xds            string
	admin          string
	probes         string
	logLevel       string
	output         string
}

// New makes warren dev.
func New(a *cli.App) *cobra.Command {
	f := &devFlags{}
	cmd := &cobra.Command{
		Use:   "dev [DIR]",
		Short: "Run a whole mesh in this process, for a first look and local work",
		Long: `Runs a control plane on a directory of objects and one sidecar for each
workload, all in this process, until Ctrl-C. The directory is watched: edits
come into force as they are saved. Without a directory a small example is used.

Brokers are embedded by default, whatever type is declared: no RabbitMQ is
needed and nothing is durable. With --broker=declared they are used as declared.

A workload is written name[:port][,label=value...]. Its labels decide which
subscriptions it gets; app=name when none are given. Ports left out are 17400
for the first workload, then 17500, 17600 and so on; operators find a sidecar 10
above its port. Without --workload there is one for each app that a subscription
selects. A second mesh needs ports of its own: with --port-offset 1000 they are
18400 and so on.`,
		Example: `  warren dev
  warren dev ./config --workload checkout --workload billing
  warren dev ./config --workload billing:17400,app=billing,tier=gold
  warren dev ./other --port-offset 1000
  warren dev ./config --broker=declared --credentials-dir ./credentials`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.shift(cmd.Flags()); err != nil {
				return err
			}
			return run(cmd.Context(), a, args, f)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&f.workloads, "workload", nil, "`workload` to run a sidecar for; may be repeated")
	flags.StringVar(&f.namespace, "namespace", "", "namespace of the workloads (default: the objects', when they have one in common)")
	flags.Uint16Var(&f.portOffset, "port-offset", 0, "add `n` to every port that is not set, so that several meshes run side by side")
	flags.StringVar(&f.broker, "broker", "memory", "memory (embedded, nothing is durable) or declared")
	flags.StringVar(&f.credentialsDir, "credentials-dir", "", "with --broker=declared: `directory` of the credentials")
	flags.StringVar(&f.admin, "admin-listen", controlplane.DefaultAdminListen, "`address` for warren status")
	flags.StringVar(&f.xds, "xds-listen", controlplane.DefaultXDSListen, "`address` for sidecars of other processes")
	flags.StringVar(&f.probes, "status-listen", controlplane.DefaultStatusListen, "`address` of the control plane's probes")
	flags.StringVar(&f.logLevel, "log-level", "warn", "debug, info, warn or error")
	flags.StringVarP(&f.output, "output", "o", cli.Table, "`format` of the addresses: table, json or yaml")
	cli.CompleteFlag(cmd, "output", cli.Table, cli.JSON, cli.YAML)
	cli.CompleteFlag(cmd, "broker", "memory", "declared")
	cli.CompleteFlag(cmd, "log-level", "debug", "info", "warn", "error")
	return cmd
}

func run(ctx context.Context, a *cli.App, args []string, f *devFlags) error {
	if err := cli.OneOf("output", f.output, cli.Table, cli.JSON, cli.YAML); err != nil {
		return err
	}
	if err := cli.OneOf("broker", f.broker, "memory", "declared"); err != nil {
		return err
	}
	dir, remove, err := devDir(args)
	if err != nil {
		return err
	}
	defer remove()
	if _, problems := controlplane.Check(dir); len(problems) > 0 {
		for _, p := range problems {
			a.Notef("%s", terminal.Printable(cli.Problem(filepath.Join(dir, p.File), p.Line, p.Field, p.Message)))
		}
		return cli.Usagef("%s in %s", cli.Plural(len(problems), "problem"), dir)
	}
	set, _ := file.Load(dir)
	opts, err := devOptions(a, dir, f, readPlan(set))
	if err != nil {
		return err
	}
	err = devmesh.Run(ctx, opts, func(m devmesh.Mesh) {
		if err := showMesh(a, f, dir, m, readPlan(set)); err != nil {
			a.Errorf("%s", err)
		}
	})
	if errors.Is(err, syscall.EADDRINUSE) {
		a.Errorf("%s", a.ErrStyle().Red(err.Error()))
		a.Hint("is another warren dev running? end it, or run this one beside it with --port-offset 1000")
		return cli.ErrReported
	}
	return err
}

// shift adds the offset to the default addresses of the control plane.
func (f *devFlags) shift(flags *pflag.FlagSet) error {
	if f.portOffset == 0 {
		return nil
	}
	for name, address := range map[string]*string{"admin-listen": &f.admin, "xds-listen": &f.xds, "status-listen": &f.probes} {
		if flags.Changed(name) {
			continue
		}
		host, port, err := net.SplitHostPort(*address)
		if err != nil {
			return fmt.Errorf("default of --%s: %w", name, err)
		}
		n, err := strconv.Atoi(port)
		if err != nil {
			return fmt.Errorf("default of --%s: %w", name, err)
		}
		if n += int(f.portOffset); n > math.MaxUint16 {
			return cli.Usagef("--port-offset %d: port %d is no port", f.portOffset, n)
		}
		*address = net.JoinHostPort(host, strconv.Itoa(n))
	}
	return nil
}

func devOptions(a *cli.App, dir string, f *devFlags, p plan) (devmesh.Options, error) {
	workloads, err := p.workloads(f.workloads, f.namespace, firstPort+int(f.portOffset))
	if err != nil {
		return devmesh.Options{}, err
	}
	v := version.Current().Version
	logger, _, err := daemon.NewLogger(a.Err, "text", f.logLevel, "dev", v)
	if err != nil {
		return devmesh.Options{}, cli.Usage(err)
	}
	return devmesh.Options{
		Dir: dir, Workloads: workloads, Declared: f.broker == "declared", CredentialsDir: f.credentialsDir,
		XDSListen: f.xds, AdminListen: f.admin, StatusListen: f.probes, Version: v, Logger: logger,
		Tracing: func(ctx context.Context, w devmesh.Workload) (*tracing.Provider, error) {
			return tracing.Setup(ctx, tracing.Options{
				ServiceName: w.Name, Namespace: w.Namespace, Component: "sidecar", Version: v, Logger: logger,
				Getenv: oneService(a), Stdout: os.Stderr,
			})
		},
	}, nil
}

// oneService hides OTEL_SERVICE_NAME: one name for all workloads would make one
// service of them.
func oneService(a *cli.App) func(string) string {
	return func(key string) string {
		if key == "OTEL_SERVICE_NAME" {
			return ""
		}
		return a.Getenv(key)
	}
}

// devDir returns the directory to run and what to do with it at the end.
func devDir(args []string) (dir string, remove func(), err error) {
	if len(args) == 1 {
		return args[0], func() {}, cli.CheckDir(args[0])
	}
	dir, err = os.MkdirTemp("", "warren-dev-")
	if err != nil {
		return "", nil, fmt.Errorf("make example: %w", err)
	}
	remove = func() { _ = os.RemoveAll(dir) } // it is in the system's temporary directory
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), exampleConfig, 0o600); err != nil {
		remove()
		return "", nil, fmt.Errorf("write example: %w", err)
	}
	return dir, remove, nil
}
