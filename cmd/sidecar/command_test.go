package main

import (
	"strings"
	"testing"

	"github.com/warrenmesh/warren/cmd/internal/daemon"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		out  string // in the output
		code int
	}{
		"valid settings":             {[]string{"--workload=billing", "--validate-only"}, "settings are valid", daemon.ExitOK},
		"no workload":                {[]string{"--validate-only"}, "--workload is required", daemon.ExitUsage},
		"a label that is none":       {[]string{"--workload=b", "--label=app"}, `--label "app": want key=value`, daemon.ExitUsage},
		"an address off loopback":    {[]string{"--workload=b", "--listen=0.0.0.0:17400"}, "must be on loopback", daemon.ExitUsage},
		"a flag that does not exist": {[]string{"--nope"}, "unknown flag: --nope", daemon.ExitUsage},
		"a log level that is none":   {[]string{"--workload=b", "--log-level=loud"}, `log-level "loud": want debug, info, warn or error`, daemon.ExitUsage},
		"print-defaults":             {[]string{"--print-defaults"}, `control-plane: "127.0.0.1:17430"`, daemon.ExitOK},
		"help names the variables":   {[]string{"--help"}, "WARREN_CONTROL_PLANE", daemon.ExitOK},
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
