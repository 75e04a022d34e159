package daemon_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/warrenmesh/warren/cmd/internal/daemon"
)

type settings struct {
	Address  string        `koanf:"address"`
	Timeout  time.Duration `koanf:"timeout"`
	Labels   []string      `koanf:"label"`
	LogLevel string        `koanf:"log-level"`
}

func load(t *testing.T, args, environ []string) (settings, error) {
	t.Helper()
	var s settings
	cmd := &cobra.Command{Use: "d", SilenceErrors: true, SilenceUsage: true, RunE: func(cmd *cobra.Command, _ []string) error {
		return daemon.Load(cmd, environ, &s)
	}}
	cmd.Flags().String("address", "default", "")
	cmd.Flags().Duration("timeout", time.Second, "")
	cmd.Flags().StringArray("label", []string{"a=b"}, "")
	daemon.AddFlags(cmd.Flags())
	cmd.SetArgs(args)
	return s, cmd.Execute()
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "settings.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFlagBeatsEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	t.Parallel()
	path := file(t, "address: from-file\ntimeout: 2s\nlabel: [x=1, y=2]\n")
	for name, test := range map[string]struct {
		args, environ []string
		address       string
	}{
		"default":                       {nil, nil, "default"},
		"file":                          {[]string{"--config=" + path}, nil, "from-file"},
		"environment":                   {[]string{"--config=" + path}, []string{"WARREN_ADDRESS=from-env"}, "from-env"},
		"flag":                          {[]string{"--config=" + path, "--address=from-flag"}, []string{"WARREN_ADDRESS=from-env"}, "from-flag"},
		"file named by the environment": {nil, []string{"WARREN_CONFIG=" + path}, "from-file"},
		"an empty variable is no value": {nil, []string{"WARREN_ADDRESS="}, "default"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := load(t, test.args, test.environ)
			if err != nil {
				t.Fatal(err)
			}
			if s.Address != test.address {
				t.Errorf("address %q, want %q", s.Address, test.address)
			}
		})
	}
}

func TestListsAndDurationsComeFromEveryLayer(t *testing.T) {
	t.Parallel()
	s, err := load(t, []string{"--timeout=3s"}, []string{"WARREN_LABEL=x=1,y=2", "WARREN_TIMEOUT=2s"})
	if err != nil {
		t.Fatal(err)
	}
	if s.Timeout != 3*time.Second || strings.Join(s.Labels, " ") != "x=1 y=2" {
		t.Errorf("settings %+v", s)
	}
	s, err = load(t, []string{"--config=" + file(t, "timeout: 2s\nlabel: [x=1]\n")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Timeout != 2*time.Second || strings.Join(s.Labels, " ") != "x=1" {
		t.Errorf("settings %+v", s)
	}
}

func TestAMistypedKeyIsAnErrorThatListsTheKnownOnes(t *testing.T) {
	t.Parallel()
	_, err := load(t, []string{"--config=" + file(t, "addr: x\n")}, nil)
	var usage *daemon.UsageError
	if !errors.As(err, &usage) || !strings.Contains(err.Error(), `unknown key "addr"; known are address,`) {
		t.Errorf("error %v", err)
	}
}

func TestAMissingFileIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := load(t, []string{"--config=/does/not/exist"}, nil); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("error %v", err)
	}
}
