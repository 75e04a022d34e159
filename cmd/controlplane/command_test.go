package main

import (
	"context"
	"strings"
	"testing"

	"github.com/warrenmesh/warren/cmd/internal/daemon"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, test := range map[string]struct {
		args []string
		out  string // in the output
		code int
	}{
		"valid settings":                {[]string{"--config-dir=" + dir, "--validate-only"}, "settings are valid", daemon.ExitOK},
		"sockets for all":               {[]string{"--config-dir=" + dir, "--listen=unix:/a", "--admin-listen=unix:/b", "--status-listen=unix:/c", "--validate-only"}, "settings are valid", daemon.ExitOK},
		"no directory":                  {[]string{"--validate-only"}, "--config-dir is required", daemon.ExitUsage},
		"no streams":                    {[]string{"--config-dir=" + dir, "--max-streams=0"}, "want at least 1", daemon.ExitUsage},
		"no streams for each":           {[]string{"--config-dir=" + dir, "--max-streams-per-peer=-1"}, "want at least 1", daemon.ExitUsage},
		"streams that are not a number": {[]string{"--max-streams=many"}, `invalid argument "many" for "--max-streams"`, daemon.ExitUsage},
		"an address without a port":     {[]string{"--config-dir=" + dir, "--listen=127.0.0.1"}, `listen address "127.0.0.1": want host:port or unix:path`, daemon.ExitUsage},
		"a socket without a path":       {[]string{"--config-dir=" + dir, "--status-listen=unix:/"}, `listen address "unix:/": want unix:path`, daemon.ExitUsage},
		"a mesh API for other hosts":    {[]string{"--config-dir=" + dir, "--admin-listen=0.0.0.0:17440"}, "must be on loopback", daemon.ExitUsage},
		"a mesh API by a name":          {[]string{"--config-dir=" + dir, "--admin-listen=localhost:0", "--validate-only"}, "settings are valid", daemon.ExitOK},
		"sidecars of other hosts":       {[]string{"--config-dir=" + dir, "--listen=0.0.0.0:17430", "--validate-only"}, "settings are valid", daemon.ExitOK},
		"a flag of the sidecar's":       {[]string{"--workload=billing"}, "unknown flag: --workload", daemon.ExitUsage},
		"a log level that is none":      {[]string{"--config-dir=" + dir, "--log-level=loud"}, `log-level "loud": want debug, info, warn or error`, daemon.ExitUsage},
		"a log format that is none":     {[]string{"--config-dir=" + dir, "--log-format=xml"}, `log-format "xml": want auto, json or text`, daemon.ExitUsage},
		"a settings file of nowhere":    {[]string{"--config=/does/not/exist"}, "settings file /does/not/exist does not exist", daemon.ExitUsage},
		"an argument":                   {[]string{dir}, "unknown command", daemon.ExitUsage},
		"a directory of nothing":        {[]string{"--config-dir=" + dir, "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--status-listen=127.0.0.1:0"}, "holds no *.yaml or *.yml file", daemon.ExitFailure},
		"a directory that is not there": {[]string{"--config-dir=" + dir + "/none", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--status-listen=127.0.0.1:0"}, "does not exist: create it", daemon.ExitFailure},
		"print-defaults":                {[]string{"--print-defaults"}, `max-streams: 10000`, daemon.ExitOK},
		"help names the variables":      {[]string{"--help"}, "WARREN_CONFIG_DIR", daemon.ExitOK},
		"reports can be turned off":     {[]string{"--config-dir=" + dir, "--no-reports", "--validate-only"}, "settings are valid", daemon.ExitOK},
		"version":                       {[]string{"--version"}, "controlplane version ", daemon.ExitOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			cmd := newCommand()
			cmd.SetOut(&out)
			cmd.SetErr(&out)
			cmd.SetArgs(test.args)
			if code := daemon.Main(cmd); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if !strings.Contains(out.String(), test.out) {
				t.Errorf("output lacks %q:\n%s", test.out, out.String())
			}
		})
	}
}

// endsAt ends a command when it writes a text.
type endsAt struct {
	text string
	end  context.CancelFunc
	all  strings.Builder
}

// Write implements io.Writer.
func (e *endsAt) Write(p []byte) (int, error) {
	if strings.Contains(string(p), e.text) {
		e.end()
	}
	return e.all.Write(p)
}

func TestTheControlPlaneRunsUntilItIsToldToEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	log := &endsAt{text: "listening", end: cancel}
	cmd := newCommand()
	cmd.SetErr(log)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs([]string{"--config-dir=../../examples/shop/config", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--status-listen=127.0.0.1:0", "--log-format=text"})
	if err := cmd.ExecuteContext(ctx); err != nil {
		t.Errorf("it ended with %v:\n%s", err, log.all.String())
	}
	if !strings.Contains(log.all.String(), "component=controlplane") {
		t.Errorf("the log does not say whose it is:\n%s", log.all.String())
	}
}
