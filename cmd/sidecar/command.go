package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/warrenmesh/warren/cmd/internal/daemon"
	"github.com/warrenmesh/warren/internal/memory"
	"github.com/warrenmesh/warren/internal/version"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy"
	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/xds"
)

const long = `The sidecar stands beside one service. The service publishes and receives
events by gRPC on localhost; the sidecar owns connections, confirms, routing,
retries and dead letters, and takes its configuration from the control plane.

Every flag can also be set in the file of --config, by the flag's name, or in the
environment: --control-plane is WARREN_CONTROL_PLANE. Flags win over the
environment, the environment over the file. Tracing is set by the standard OTEL_*
variables; without them no span is exported. Metrics are at /metrics of
--status-listen.

SIGTERM drains, within --drain-timeout: the sidecar takes no new publishes and no
new deliveries, lets services settle what they hold, waits for confirms and closes
its connections. A second signal ends the process at once.`

const example = `  # beside the service "billing", for local work
  sidecar --namespace shop --workload billing --label app=billing

  # on a unix socket too, keeping the last good configuration
  sidecar --workload billing --listen 127.0.0.1:17400 \
    --listen unix:/var/run/warren/warren.sock --state-dir /var/lib/warren`

// settings are the sidecar's flags.
type settings struct {
	Namespace      string        `koanf:"namespace"`
	Workload       string        `koanf:"workload"`
	Labels         []string      `koanf:"label"`
	Topics         []string      `koanf:"topic"`
	ControlPlane   string        `koanf:"control-plane"`
	Listen         []string      `koanf:"listen"`
	StatusListen   string        `koanf:"status-listen"`
	NeedsBroker    bool          `koanf:"ready-requires-broker"`
	AdminListen    string        `koanf:"admin-listen"`
	Zone           string        `koanf:"zone"`
	StateDir       string        `koanf:"state-dir"`
	CredentialsDir string        `koanf:"credentials-dir"`
	DrainTimeout   time.Duration `koanf:"drain-timeout"`
	MaxInFlight    int64         `koanf:"max-in-flight"`
	MaxBytes       int64         `koanf:"max-in-flight-bytes"`
	MaxStreams     int64         `koanf:"max-streams"`
	MaxConnections int           `koanf:"max-connections"`
	NoReports      bool          `koanf:"no-reports"`
	NoReflection   bool          `koanf:"no-reflection"`
	AdminQuit      bool          `koanf:"admin-quit"`
	AdminProfiles  bool          `koanf:"admin-profiles"`
	ServiceName    string        `koanf:"service-name"`
	LogLevel       string        `koanf:"log-level"`
	LogFormat      string        `koanf:"log-format"`
}

func newCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "sidecar",
		Short:   "Warren's sidecar: events by gRPC on localhost, AMQP to the broker",
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
	f.String("namespace", "default", "namespace of the workload")
	f.String("workload", "", "`name` of the workload this sidecar stands beside (required)")
	f.StringArray("label", nil, "label of the workload, `key=value`; repeat for more. Default: app=<workload>")
	f.StringArray("topic", nil, "topic to load at the start instead of at its first use; repeat for more")
	f.String("control-plane", "127.0.0.1:17430", "`address` of the control plane, host:port or unix:/path")
	f.StringArray("listen", []string{"127.0.0.1:17400"}, "`address` of the event API, loopback host:port or unix:/path; repeat for more")
	f.String("status-listen", "127.0.0.1:17420", "`address` of /livez, /readyz, /startupz and /metrics; \"\" turns it off")
	f.Bool("ready-requires-broker", false, "let /readyz fail while a broker cannot be reached, which takes the pod out of its Service")
	f.String("admin-listen", "127.0.0.1:17410", "loopback `address` for operators, by gRPC for the warren command and by HTTP, GET /help lists the paths; \"\" turns it off")
	f.String("zone", "", "`zone` this sidecar runs in: broker nodes of the same zone are preferred among those of one priority; \"\" prefers none")
	f.String("state-dir", "", "`directory` for the last good configuration, used when the control plane cannot be reached at the start; \"\" keeps none")
	f.String("credentials-dir", "", "`directory` with one directory for each named credential, holding the files username and password")
	f.Duration("drain-timeout", 10*time.Second, "longest graceful stop")
	f.Int64("max-in-flight", 16384, "most events between their acceptance and the answer")
	f.Int64("max-in-flight-bytes", 0, "most `bytes` of those events; 0 means a quarter of the memory limit, at most 256 MiB")
	f.Int64("max-streams", 0, "most Subscribe and PublishStream calls at once; 0 means 1024, or one for each 256 KiB of the memory limit if that is less")
	f.Int("max-connections", 0, "most connections of each listener of the event API; 0 means 1024, or one for each 256 KiB of the memory limit, or what the process's descriptors allow if that is less")
	f.Bool("no-reports", false, "tell the control plane nothing of brokers, topology and traffic; 'warren status' then shows less")
	f.Bool("no-reflection", false, "turn gRPC server reflection off, on the event API and for operators")
	f.Bool("admin-quit", false, "let operators stop the process by POST /quitquitquit")
	f.Bool("admin-profiles", false, "serve profiles of the process at /debug/pprof/ of --admin-listen")
	f.String("service-name", "", "service.name of the spans, unless OTEL_SERVICE_NAME is set. Default: <workload>")
	daemon.AddFlags(f)
	return cmd
}

func run(cmd *cobra.Command, s settings) error {
	opts, err := s.options()
	if err != nil {
		return &daemon.UsageError{Err: err}
	}
	memory.SetFromCgroup()
	memory.SetPace()
	v := version.Current().Version
	opts.Logger, opts.LogLevel, err = daemon.NewLogger(cmd.ErrOrStderr(), s.LogFormat, s.LogLevel, "sidecar", v)
	if err != nil {
		return err
	}
	opts.Tracing, err = tracing.Setup(cmd.Context(), tracing.Options{
		ServiceName: cmp.Or(s.ServiceName, s.Workload),
		Component:   "sidecar",
		Version:     v,
		Commit:      version.Current().Commit,
		Namespace:   s.Namespace,
		InstanceID:  opts.Node.ID,
		Logger:      opts.Logger,
	})
	if err != nil {
		return &daemon.UsageError{Err: err}
	}
	p, err := proxy.New(opts)
	if err != nil {
		return &daemon.UsageError{Err: err}
	}
	if daemon.ValidateOnly(cmd) {
		fmt.Fprintln(cmd.OutOrStdout(), "settings are valid")
		return nil
	}
	err = p.Run(cmd.Context())
	return errors.Join(err, opts.Tracing.Shutdown(context.WithoutCancel(cmd.Context())))
}

// options turns settings into the proxy's options; errors name the flag.
func (s settings) options() (proxy.Options, error) {
	if s.Workload == "" {
		return proxy.Options{}, errors.New("--workload is required: the name of the service this sidecar stands beside")
	}
	if _, err := mesh.ParseName("any", s.Namespace); err != nil {
		return proxy.Options{}, fmt.Errorf("--namespace %q: want a-z, 0-9 and '-', with a letter or digit at both ends, at most 63 characters", s.Namespace)
	}
	if err := s.checkBounds(); err != nil {
		return proxy.Options{}, err
	}
	labels, err := parseLabels(s.Labels, s.Workload)
	if err != nil {
		return proxy.Options{}, err
	}
	var topics []mesh.Name
	for _, t := range s.Topics {
		name, err := mesh.ParseName(t, s.Namespace)
		if err != nil {
			return proxy.Options{}, fmt.Errorf("--topic: %w", err)
		}
		topics = append(topics, name)
	}
	return proxy.Options{
		Node: xds.Node{
			ID:        fmt.Sprintf("%s.%s~%s", s.Workload, s.Namespace, instance()),
			Namespace: s.Namespace,
			Workload:  s.Workload,
			Labels:    labels,
			Version:   version.Current().Version,
		},
		ControlPlane:   s.ControlPlane,
		Topics:         topics,
		Zone:           s.Zone,
		StateDir:       s.StateDir,
		CredentialsDir: s.CredentialsDir,
		Listen:         s.Listen,
		StatusListen:   s.StatusListen,

		ReadyRequiresBroker: s.NeedsBroker,

		AdminListen:    s.AdminListen,
		NoReports:      s.NoReports,
		NoReflection:   s.NoReflection,
		AdminQuit:      s.AdminQuit,
		AdminProfiles:  s.AdminProfiles,
		MaxConnections: s.MaxConnections,
		MemoryLimit:    memory.Limit(),
		DrainTimeout:   s.DrainTimeout,

		MaxInFlight: s.MaxInFlight, MaxInFlightBytes: s.MaxBytes, MaxStreams: s.MaxStreams,
	}, nil
}

// checkBounds refuses bounds below zero, which would be taken for none given.
func (s settings) checkBounds() error {
	if s.DrainTimeout <= 0 {
		return fmt.Errorf("--drain-timeout %s: want a positive duration", s.DrainTimeout)
	}
	for _, bound := range []struct {
		flag  string
		value int64
	}{
		{"max-in-flight", s.MaxInFlight}, {"max-in-flight-bytes", s.MaxBytes}, {"max-streams", s.MaxStreams}, {"max-connections", int64(s.MaxConnections)},
	} {
		if bound.value < 0 {
			return fmt.Errorf("--%s %d: want 0 or more", bound.flag, bound.value)
		}
	}
	return nil
}

func parseLabels(pairs []string, workload string) (map[string]string, error) {
	if len(pairs) == 0 {
		return map[string]string{"app": workload}, nil
	}
	labels := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("--label %q: want key=value", pair)
		}
		labels[key] = value
	}
	return labels, nil
}

// instance tells sidecars of one workload apart: the host's name (in Kubernetes
// the pod's) and, because several may run on one host, a random end.
func instance() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "-" + strings.ToLower(rand.Text()[:6])
}
