package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/warrenmesh/warren/cmd/internal/daemon"
	"github.com/warrenmesh/warren/controlplane"
	"github.com/warrenmesh/warren/internal/version"
	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/xds/server"
)

const long = `The control plane watches a directory of YAML files, resolves what they declare
into xDS resources and pushes those to the sidecars they concern. All errors of
the directory are reported together, with file, line and field. If there are any,
the previous configuration stays in force.

Every flag can also be set in the file of --config, by the flag's name, or in the
environment: --config-dir is WARREN_CONFIG_DIR. Flags win over the environment,
the environment over the file.

'warren config validate DIR' checks a directory without running anything;
'warren status' shows what is in force on which sidecar.`

const example = `  controlplane --config-dir examples/shop/config`

// settings are the control plane's flags.
type settings struct {
	ConfigDir    string `koanf:"config-dir"`
	Listen       string `koanf:"listen"`
	AdminListen  string `koanf:"admin-listen"`
	StatusListen string `koanf:"status-listen"`
	NoReflection bool   `koanf:"no-reflection"`
	NoReports    bool   `koanf:"no-reports"`
	MaxStreams   int    `koanf:"max-streams"`
	PerPeer      int    `koanf:"max-streams-per-peer"`
	LogLevel     string `koanf:"log-level"`
	LogFormat    string `koanf:"log-format"`
}

func newCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "controlplane",
		Short:   "Warren's control plane: declared YAML in, xDS to the sidecars out",
		Long:    long,
		Example: example,
		Version: version.Current().String(),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var s settings
			if err := daemon.Load(cmd, os.Environ(), &s); err != nil {
				if errors.Is(err, daemon.ErrDone) {
					return nil
				}
				return err
			}
			return run(cmd, s)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.String("config-dir", "", "`directory` of YAML files to watch (required)")
	f.String("listen", "127.0.0.1:17430", "`address` of xDS for sidecars, host:port or unix:/path")
	f.String("admin-listen", "127.0.0.1:17440", "loopback `address` of the mesh API used by 'warren status'")
	f.String("status-listen", "127.0.0.1:17431", "`address` of /livez, /readyz and /metrics")
	f.Bool("no-reflection", false, "turn gRPC server reflection of the mesh API off")
	f.Bool("no-reports", false, "take no reports of sidecars: 'warren status' knows nothing of brokers, traffic and queues")
	f.Int("max-streams", 10000, "`number` of sidecars' streams served at once; more are refused with RESOURCE_EXHAUSTED")
	f.Int("max-streams-per-peer", 1000, "`number` of those from one address, or from one unix socket")
	daemon.AddFlags(f)
	return cmd
}

func run(cmd *cobra.Command, s settings) error {
	if s.ConfigDir == "" {
		return &daemon.UsageError{Err: errors.New("--config-dir is required: a directory of YAML files, such as examples/shop/config")}
	}
	if s.MaxStreams < 1 || s.PerPeer < 1 {
		return &daemon.UsageError{Err: errors.New("--max-streams and --max-streams-per-peer: want at least 1")}
	}
	v := version.Current().Version
	logger, _, err := daemon.NewLogger(cmd.ErrOrStderr(), s.LogFormat, s.LogLevel, "controlplane", v)
	if err != nil {
		return err
	}
	traces, err := tracing.Setup(cmd.Context(), tracing.Options{
		ServiceName: "warren-controlplane", Component: "controlplane", Version: v, Commit: version.Current().Commit, Logger: logger,
	})
	if err != nil {
		return &daemon.UsageError{Err: err}
	}
	cp, err := controlplane.New(controlplane.Options{
		Dir:          s.ConfigDir,
		XDSListen:    s.Listen,
		AdminListen:  s.AdminListen,
		StatusListen: s.StatusListen,
		NoReflection: s.NoReflection,
		NoReports:    s.NoReports,
		Version:      v,
		Limits:       server.Limits{Streams: s.MaxStreams, StreamsPerPeer: s.PerPeer},
		Logger:       logger,
		Tracing:      traces,
	})
	if err != nil {
		return &daemon.UsageError{Err: err}
	}
	if daemon.ValidateOnly(cmd) {
		fmt.Fprintln(cmd.OutOrStdout(), "settings are valid")
		return nil
	}
	err = cp.Run(cmd.Context())
	return errors.Join(err, traces.Shutdown(context.WithoutCancel(cmd.Context())))
}
