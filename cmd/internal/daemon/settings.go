package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	yamlv3 "go.yaml.in/yaml/v3"
)

const (
	envPrefix = "WARREN_"
	delimiter = "/" // no flag has it in its name
)

// Flags every daemon has; they are not settings themselves.
const (
	flagConfig       = "config"
	flagValidateOnly = "validate-only"
	flagPrint        = "print-defaults"
)

// AddFlags adds the flags every daemon has.
func AddFlags(flags *pflag.FlagSet) {
	flags.String(flagConfig, "", "YAML `file` with settings, keys named as the flags")
	flags.Bool(flagValidateOnly, false, "check the settings and exit")
	flags.Bool(flagPrint, false, "print all settings with their defaults as YAML and exit")
	flags.String("log-level", "info", "debug, info, warn or error")
	flags.String("log-format", "auto", "json, text, or auto: text on a terminal, else json")
}

// ErrDone says that the command has done what was asked by --print-defaults.
var ErrDone = errors.New("done")

// Load fills settings, a pointer to a struct with koanf tags, from all layers.
// Errors are *UsageError. It returns ErrDone after --print-defaults.
func Load(cmd *cobra.Command, environ []string, settings any) error {
	flags := cmd.Flags()
	if on, _ := flags.GetBool(flagPrint); on {
		return printDefaults(cmd)
	}
	k := koanf.New(delimiter)
	path, _ := flags.GetString(flagConfig)
	if path == "" {
		path = lookup(environ, envPrefix+"CONFIG")
	}
	if err := loadFile(k, path, flags); err != nil {
		return &UsageError{err}
	}
	if err := loadEnv(k, environ, flags); err != nil {
		return &UsageError{err}
	}
	if err := k.Load(posflag.Provider(flags, delimiter, k), nil); err != nil {
		return &UsageError{fmt.Errorf("read flags: %w", err)}
	}
	if err := k.Unmarshal("", settings); err != nil {
		return &UsageError{fmt.Errorf("read settings: %w", err)}
	}
	return nil
}

// ValidateOnly reports whether the command is only to check its settings.
func ValidateOnly(cmd *cobra.Command) bool {
	on, _ := cmd.Flags().GetBool(flagValidateOnly)
	return on
}

func loadFile(k *koanf.Koanf, path string, flags *pflag.FlagSet) error {
	if path == "" {
		return nil
	}
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("settings file %s does not exist", path)
		}
		return fmt.Errorf("settings file %s: %w", path, err)
	}
	for _, key := range k.Keys() {
		if !isSetting(flags, key) {
			return fmt.Errorf("settings file %s: unknown key %q; known are %s", path, key, strings.Join(settingNames(flags), ", "))
		}
		if err := checkValue(flags.Lookup(key), k.Get(key)); err != nil {
			return fmt.Errorf("settings file %s: %s %w", path, key, err)
		}
	}
	return nil
}

// loadEnv takes the variables that name a setting; lists are separated by commas.
// Other WARREN_ variables belong to other commands.
func loadEnv(k *koanf.Koanf, environ []string, flags *pflag.FlagSet) error {
	var wrong error
	err := k.Load(env.Provider(delimiter, env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(key, value string) (string, any) {
			name := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(key, envPrefix)), "_", "-")
			if !isSetting(flags, name) || value == "" {
				return "", nil
			}
			flag := flags.Lookup(name)
			if _, list := flag.Value.(pflag.SliceValue); list {
				items := strings.Split(value, ",")
				for i := range items {
					items[i] = strings.TrimSpace(items[i])
				}
				return name, items
			}
			if err := checkValue(flag, value); err != nil && wrong == nil {
				wrong = fmt.Errorf("%s %w", key, err)
			}
			return name, value
		},
	}), nil)
	return cmp.Or(wrong, err)
}

// checkValue refuses what the flag itself would refuse. Decoding alone would make ten
// nanoseconds of "10", and a number of a truth value.
func checkValue(flag *pflag.Flag, value any) error {
	if value == nil {
		return nil // as if it were empty
	}
	text, isText := value.(string)
	if _, list := flag.Value.(pflag.SliceValue); list {
		items, isList := value.([]any)
		if !isText && !isList || slices.ContainsFunc(items, func(item any) bool { _, ok := item.(string); return !ok }) {
			return fmt.Errorf("is %v: want a list of texts; put each in quotes", value)
		}
		return nil
	}
	if !isText {
		text = fmt.Sprint(value)
	}
	var err error
	want := "text, in quotes"
	switch flag.Value.Type() {
	case "duration":
		want = "a duration with its unit, such as 10s"
		_, err = time.ParseDuration(text)
	case "int", "int64":
		want = "a whole number"
		_, err = strconv.ParseInt(text, 0, 64)
	case "bool":
		want = "true or false"
		_, err = strconv.ParseBool(text)
	default:
		if !isText {
			err = strconv.ErrSyntax
		}
	}
	if err != nil {
		return fmt.Errorf("is %q: want %s", text, want)
	}
	return nil
}

func isSetting(flags *pflag.FlagSet, name string) bool {
	return slices.Contains(settingNames(flags), name)
}

func settingNames(flags *pflag.FlagSet) []string {
	var names []string
	flags.VisitAll(func(f *pflag.Flag) {
		switch f.Name {
		case flagConfig, flagValidateOnly, flagPrint, "help", "version":
		default:
			names = append(names, f.Name)
		}
	})
	return names
}

// printDefaults writes a settings file that changes nothing.
func printDefaults(cmd *cobra.Command) error {
	root := &yamlv3.Node{Kind: yamlv3.MappingNode}
	flags := cmd.Flags()
	for _, name := range settingNames(flags) {
		f := flags.Lookup(name)
		key := &yamlv3.Node{Kind: yamlv3.ScalarNode, Value: name, HeadComment: f.Usage}
		value := &yamlv3.Node{Kind: yamlv3.ScalarNode, Value: f.DefValue}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			value = &yamlv3.Node{Kind: yamlv3.SequenceNode, Style: yamlv3.FlowStyle}
			for _, item := range list.GetSlice() {
				value.Content = append(value.Content, &yamlv3.Node{Kind: yamlv3.ScalarNode, Value: item})
			}
		} else if f.Value.Type() == "string" {
			value.Style = yamlv3.DoubleQuotedStyle
		}
		root.Content = append(root.Content, key, value)
	}
	enc := yamlv3.NewEncoder(cmd.OutOrStdout())
	enc.SetIndent(2)
	if err := enc.Encode(root); err != nil {
		return fmt.Errorf("print defaults: %w", err)
	}
	return ErrDone
}

func lookup(environ []string, name string) string {
	for _, kv := range environ {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}
