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
		"valid settings":                            {[]string{"--workload=billing", "--validate-only"}, "settings are valid", daemon.ExitOK},
		"no workload":                               {[]string{"--validate-only"}, "--workload is required", daemon.ExitUsage},
		"a label that is none":                      {[]string{"--workload=b", "--label=app"}, `--label "app": want key=value`, daemon.ExitUsage},
		"an address off loopback":                   {[]string{"--workload=b", "--listen=0.0.0.0:17400"}, "must be on loopback", daemon.ExitUsage},
		"a flag that does not exist":                {[]string{"--nope"}, "unknown flag: --nope", daemon.ExitUsage},
		"a log level that is none":                  {[]string{"--workload=b", "--log-level=loud"}, `log-level "loud": want debug, info, warn or error`, daemon.ExitUsage},
		"a label without a key":                     {[]string{"--workload=b", "--label==x"}, `--label "=x": want key=value`, daemon.ExitUsage},
		"a label with an empty value, which is one": {[]string{"--workload=b", "--label=canary=", "--validate-only"}, "settings are valid", daemon.ExitOK},
		"a topic that is none":                      {[]string{"--workload=b", "--topic=Orders"}, `--topic: name "Orders": want "name" or "namespace/name"`, daemon.ExitUsage},
		"a topic of elsewhere":                      {[]string{"--workload=b", "--topic=billing/invoices", "--validate-only"}, "settings are valid", daemon.ExitOK},
		"a namespace in capitals":                   {[]string{"--workload=b", "--namespace=Shop"}, `--namespace "Shop": want a-z, 0-9 and '-'`, daemon.ExitUsage},
		"a namespace with a dot":                    {[]string{"--workload=b", "--namespace=a.b"}, `--namespace "a.b": want a-z`, daemon.ExitUsage},
		"a namespace with a topic":                  {[]string{"--workload=b", "--namespace=shop/orders"}, `--namespace "shop/orders": want a-z`, daemon.ExitUsage},
		"no namespace":                              {[]string{"--workload=b", "--namespace="}, `--namespace "": want a-z`, daemon.ExitUsage},
		"no time to drain":                          {[]string{"--workload=b", "--drain-timeout=0s"}, "--drain-timeout 0s: want a positive duration", daemon.ExitUsage},
		"a drain that ends before it begins":        {[]string{"--workload=b", "--drain-timeout=-10s"}, "--drain-timeout -10s: want a positive duration", daemon.ExitUsage},
		"a time without a unit":                     {[]string{"--workload=b", "--drain-timeout=10"}, `missing unit in duration "10"`, daemon.ExitUsage},
		"a negative bound":                          {[]string{"--workload=b", "--max-in-flight=-1"}, "--max-in-flight -1: want 0 or more", daemon.ExitUsage},
		"a negative bound of bytes":                 {[]string{"--workload=b", "--max-in-flight-bytes=-1"}, "--max-in-flight-bytes -1: want 0 or more", daemon.ExitUsage},
		"a negative bound of streams":               {[]string{"--workload=b", "--max-streams=-1"}, "--max-streams -1: want 0 or more", daemon.ExitUsage},
		"a negative bound of connections":           {[]string{"--workload=b", "--max-connections=-1"}, "--max-connections -1: want 0 or more", daemon.ExitUsage},
		"a bound of bytes with a unit":              {[]string{"--workload=b", "--max-in-flight-bytes=64MiB"}, `invalid argument "64MiB"`, daemon.ExitUsage},
		"bounds of 0, which are the defaults":       {[]string{"--workload=b", "--max-in-flight=0", "--max-streams=0", "--max-connections=0", "--validate-only"}, "settings are valid", daemon.ExitOK},
		"an address without a port":                 {[]string{"--workload=b", "--listen=127.0.0.1"}, `listen address "127.0.0.1": want host:port or unix:/path`, daemon.ExitUsage},
		"a socket that depends on where it runs":    {[]string{"--workload=b", "--listen=unix:warren.sock"}, "want unix: and an absolute path", daemon.ExitUsage},
		"an admin address off loopback":             {[]string{"--workload=b", "--admin-listen=10.0.0.1:17410"}, "must be on loopback", daemon.ExitUsage},
		"no admin and no status address":            {[]string{"--workload=b", "--admin-listen=", "--status-listen=", "--validate-only"}, "settings are valid", daemon.ExitOK},
		"no control plane":                          {[]string{"--workload=b", "--control-plane="}, "control plane: address must not be empty", daemon.ExitUsage},
		"a log format that is none":                 {[]string{"--workload=b", "--log-format=xml"}, `log-format "xml": want auto, json or text`, daemon.ExitUsage},
		"an argument":                               {[]string{"billing"}, `unknown command "billing"`, daemon.ExitUsage},
		"a settings file that is not there":         {[]string{"--config=/does/not/exist"}, "settings file /does/not/exist does not exist", daemon.ExitUsage},
		"reports can be turned off":                 {[]string{"--workload=billing", "--no-reports", "--validate-only"}, "settings are valid", daemon.ExitOK},
		"version":                                   {[]string{"--version"}, "sidecar version ", daemon.ExitOK},
		"print-defaults":                            {[]string{"--print-defaults"}, `control-plane: "127.0.0.1:17430"`, daemon.ExitOK},
		"help names the variables":                  {[]string{"--help"}, "WARREN_CONTROL_PLANE", daemon.ExitOK},
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
