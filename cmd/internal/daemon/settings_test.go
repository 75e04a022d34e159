package daemon_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
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
	Count    int64         `koanf:"count"`
	On       bool          `koanf:"on"`
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
	cmd.Flags().Int64("count", 7, "")
	cmd.Flags().Bool("on", false, "")
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

func TestEveryLayerRefusesWhatTheFlagWouldRefuse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{ // "" means that it is taken
		"timeout: 10":                   `timeout is "10": want a duration with its unit, such as 10s`,
		"timeout: 1.5":                  `timeout is "1.5": want a duration`,
		"timeout: true":                 `timeout is "true": want a duration`,
		"timeout: ten":                  `timeout is "ten": want a duration`,
		"timeout: [1s]":                 `timeout is "[1s]": want a duration`,
		"timeout: 0":                    "",
		"timeout: 1m30s":                "",
		"count: 1.9":                    `count is "1.9": want a whole number`,
		"count: true":                   `count is "true": want a whole number`,
		"count: many":                   `count is "many": want a whole number`,
		"count: 1e30":                   `count is "1e+30": want a whole number`,
		"count: 9999999999999999999999": `want a whole number`,
		"count: 0x10":                   "",
		"count: -1":                     "",
		"on: maybe":                     `on is "maybe": want true or false`,
		"on: 2":                         `on is "2": want true or false`,
		"on: true":                      "",
		"address: 5":                    `address is "5": want text, in quotes`,
		"address: 1.10":                 `want text, in quotes`,
		"address: true":                 `address is "true": want text, in quotes`,
		"address: [a, b]":               `address is "[a b]": want text, in quotes`,
		`address: "5"`:                  "",
		"address:":                      "",
		"address: {a: b}":               `unknown key "address/a"`,
		"label: [x=1, true]":            "label is [x=1 true]: want a list of texts",
		"label: [[x=1]]":                "label is [[x=1]]: want a list of texts",
		"label: 5":                      "label is 5: want a list of texts",
		"label: x=1":                    "",
		"Address: x":                    `unknown key "Address"`,
		"config: other.yaml":            `unknown key "config"`,
		"address: a\naddress: b":        `line 2: mapping key "address" already defined at line 1`,
		"- address":                     "line 1: cannot unmarshal",
		"address: [":                    "line 1: did not find expected",
	} {
		path := file(t, text+"\n")
		_, err := load(t, []string{"--config=" + path}, nil)
		var usage *daemon.UsageError
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (!errors.As(err, &usage) || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "settings file "+path+": ")):
			t.Errorf("%s: %v, want the file and %q", text, err, want)
		}
	}
	for variable, want := range map[string]string{
		"WARREN_TIMEOUT=10":  `WARREN_TIMEOUT is "10": want a duration with its unit, such as 10s`,
		"WARREN_TIMEOUT= 1s": `WARREN_TIMEOUT is " 1s": want a duration`,
		"WARREN_COUNT=1.5":   `WARREN_COUNT is "1.5": want a whole number`,
		"WARREN_ON=yes":      `WARREN_ON is "yes": want true or false`,
		"WARREN_LOG_LEVEL=5": "", // NewLogger judges it
		"WARREN_NOBODYS=x":   "", // another command's
		"OTHER_TIMEOUT=10":   "",
	} {
		_, err := load(t, nil, []string{variable})
		var usage *daemon.UsageError
		if want == "" && err != nil || want != "" && (!errors.As(err, &usage) || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", variable, err, want)
		}
	}
}

func TestBlanksAroundTheCommasOfAVariableDoNotCount(t *testing.T) {
	t.Parallel()
	s, err := load(t, nil, []string{"WARREN_LABEL=app=billing, tier=gold ,x=a b"})
	if err != nil || strings.Join(s.Labels, "|") != "app=billing|tier=gold|x=a b" {
		t.Errorf("labels %q, %v", s.Labels, err)
	}
}

// What --print-defaults writes can be read back, and changes nothing.
func TestTheDefaultsThatArePrintedAreASettingsFile(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	cmd := &cobra.Command{Use: "d", RunE: func(cmd *cobra.Command, _ []string) error { return daemon.Load(cmd, nil, new(settings)) }}
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetOut(&out)
	cmd.Flags().String("address", "default", "where to `listen`")
	cmd.Flags().Duration("timeout", time.Second, "")
	cmd.Flags().Int64("count", 7, "")
	cmd.Flags().Bool("on", false, "")
	cmd.Flags().StringArray("label", []string{"a=b"}, "")
	daemon.AddFlags(cmd.Flags())
	cmd.SetArgs([]string{"--print-defaults", "--config=/does/not/exist"})
	if err := cmd.Execute(); !errors.Is(err, daemon.ErrDone) {
		t.Fatalf("%v, want ErrDone", err)
	}
	plain, err := load(t, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := load(t, []string{"--config=" + file(t, out.String())}, nil)
	if err != nil || !reflect.DeepEqual(again, plain) {
		t.Errorf("%+v, %v; want %+v of\n%s", again, err, plain, out.String())
	}
}

func TestOnlyJSONAndTextAreLogFormats(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ format, level, want string }{
		{"json", "debug", ""}, {"text", "WARN", ""}, {"json", "error+2", ""},
		{"JSON", "info", `log-format "JSON": want auto, json or text`}, {"", "info", `log-format "": want auto, json or text`},
		{"json", "", `log-level "": want debug, info, warn or error`}, {"json", "verbose", `log-level "verbose"`},
	} {
		var out strings.Builder
		logger, level, err := daemon.NewLogger(&out, test.format, test.level, "sidecar", "v1")
		if test.want != "" {
			var usage *daemon.UsageError
			if !errors.As(err, &usage) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s, %s: %v, want %q", test.format, test.level, err, test.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s, %s: %v", test.format, test.level, err)
			continue
		}
		level.Set(slog.LevelError)
		logger.Warn("quiet")
		logger.Error("loud")
		if text := out.String(); strings.Contains(text, "quiet") || !strings.Contains(text, "loud") || !strings.Contains(text, "sidecar") || !strings.Contains(text, "v1") {
			t.Errorf("%s, %s: the level does not change while it runs, or a line lacks who it is of: %s", test.format, test.level, text)
		}
	}
}

func TestExitCodesTellMistakesFromFailures(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		args []string
		code int
		says string
	}{
		"nothing wrong":       {nil, nil, daemon.ExitOK, ""},
		"a failure":           {errors.New("listen: in use"), nil, daemon.ExitFailure, "d: listen: in use\n"},
		"a wrong setting":     {&daemon.UsageError{Err: errors.New("--x: want y")}, nil, daemon.ExitUsage, "d: --x: want y\nSee 'd --help'.\n"},
		"one that is wrapped": {fmt.Errorf("start: %w", &daemon.UsageError{Err: errors.New("--x")}), nil, daemon.ExitUsage, "See 'd --help'."},
		"an unknown flag":     {nil, []string{"--nope"}, daemon.ExitUsage, "unknown flag: --nope"},
		"an argument":         {nil, []string{"x"}, daemon.ExitUsage, `unknown command "x" for "d"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			cmd := &cobra.Command{Use: "d", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error { return test.err }}
			cmd.SetErr(&out)
			cmd.SetArgs(append([]string{}, test.args...))
			if code := daemon.Main(cmd); code != test.code || !strings.Contains(out.String(), test.says) || (test.says == "") != (out.Len() == 0) {
				t.Errorf("exit code %d, want %d with %q:\n%s", code, test.code, test.says, out.String())
			}
		})
	}
}
