package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/warrenmesh/warren/api/schema/schematest"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli/clitest"
)

// TestJSONSchema takes the way of somebody who writes configuration: the schema the
// command prints goes to a validator of another author, as an editor has one, and
// what it says of files agrees with what the control plane would say.
func TestJSONSchema(t *testing.T) {
	t.Parallel()
	printed := warren.Run(t, "config", "schema")
	if printed.Code != cli.ExitOK || printed.Err != "" {
		t.Fatalf("exit %d: %s", printed.Code, printed.Err)
	}
	schema := schematest.CompileText(t, []byte(printed.Out))

	t.Run("it accepts the shop", func(t *testing.T) {
		t.Parallel()
		files, err := filepath.Glob("../../../../examples/shop/config/*.yaml")
		if err != nil || len(files) == 0 {
			t.Fatalf("%v %v", files, err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.ValidateYAML(text); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})

	topic := func(spec string) string {
		return "apiVersion: warrenmesh.io/v1alpha1\nkind: EventTopic\nmetadata: {name: orders, namespace: shop}\nspec:\n  brokerRef: {name: main}\n" + spec
	}
	for _, c := range []struct {
		name, file string
		valid      bool
	}{
		{"it accepts several objects in a file", clitest.BrokerYAML + "---\n" + clitest.FlowYAML, true},
		{"it accepts comments alone", clitest.BrokerYAML + "---\n# later\n", true},
		{"it accepts durations as Go writes them", clitest.BrokerYAML + "---\n" + topic("  publish: {confirmTimeout: 1m30s, ttl: 1.5s}\n"), true},
		{"it refuses a misspelt field", clitest.BrokerYAML + "---\n" + topic("  routingkey: x\n"), false},
		{"it refuses a number out of range", clitest.BrokerYAML + "---\n" + topic("  publish: {priority: 10}\n"), false},
		{"it refuses text for a number", clitest.BrokerYAML + "---\n" + topic("  publish: {priority: high}\n"), false},
		{"it refuses a number for text", clitest.BrokerYAML + "---\n" + topic("  routingKey: 12\n"), false},
		{"it refuses a duration without a unit", clitest.BrokerYAML + "---\n" + topic("  publish: {ttl: 5}\n"), false},
		{"it refuses an empty text", clitest.BrokerYAML + "---\n" + topic("  routingKey: \"\"\n"), false},
		{"it refuses a value that is none of the list", clitest.BrokerYAML + "---\n" + topic("  exchange: {type: Topic}\n"), false},
		{"it refuses what is not supported yet", clitest.BrokerYAML + "  tls: {}\n", false},
		{"it accepts partitions", clitest.BrokerYAML + "---\n" + topic("  partitions: {count: 8}\n"), true},
		{"it refuses too many partitions", clitest.BrokerYAML + "---\n" + topic("  partitions: {count: 1025}\n"), false},
		{"it refuses an unknown kind", clitest.BrokerYAML + "---\n" + strings.Replace(topic(""), "EventTopic", "EventTopik", 1), false},
		{"it refuses another version", clitest.BrokerYAML + "---\n" + strings.Replace(topic(""), "v1alpha1", "v1", 1), false},
		{"it refuses an object without a name", clitest.BrokerYAML + "---\n" + strings.Replace(topic(""), "name: orders, ", "", 1), false},
		{"it refuses status", clitest.BrokerYAML + "---\n" + topic("") + "status: {}\n", false},
		{"it refuses a RabbitMQ without nodes", "apiVersion: warrenmesh.io/v1alpha1\nkind: EventBroker\nmetadata: {name: a}\nspec: {vhost: /}\n", false},
		{"it refuses nodes in memory", "apiVersion: warrenmesh.io/v1alpha1\nkind: EventBroker\nmetadata: {name: a}\nspec: {type: Memory, nodes: [{address: \"a:1\"}]}\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			plane := warren.Run(t, "config", "validate", clitest.ConfigDir(t, map[string]string{"a.yaml": c.file}))
			if valid := plane.Code == cli.ExitOK; valid != c.valid {
				t.Errorf("the control plane: exit %d\n%s%s", plane.Code, plane.Out, plane.Err)
			}
			if err := schema.ValidateYAML([]byte(c.file)); (err == nil) != c.valid {
				t.Errorf("the schema: %v", err)
			}
		})
	}
}

func TestConfigSchemaPrintsOneKind(t *testing.T) {
	t.Parallel()
	r := warren.Run(t, "config", "schema", "EventBroker")
	if err := schematest.CompileText(t, []byte(r.Out)).ValidateYAML([]byte(clitest.BrokerYAML)); err != nil {
		t.Error(err)
	}
	if r := warren.Run(t, "config", "schema", "EventBrokr"); r.Code != cli.ExitUsage || !strings.Contains(r.Err, `did you mean "EventBroker"?`) {
		t.Errorf("a kind that is none: %+v", r)
	}
}

// yamlBlocks are the fenced blocks of YAML in a page.
func yamlBlocks(t *testing.T, page string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../../../docs", page))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, rest := range strings.Split(string(text), "\n```yaml\n")[1:] {
		block, _, _ := strings.Cut(rest, "\n```")
		blocks = append(blocks, block)
	}
	return blocks
}

func TestJSONSchemaAcceptsTheDocumentation(t *testing.T) {
	t.Parallel()
	printed := warren.Run(t, "config", "schema")
	schema := schematest.CompileText(t, []byte(printed.Out))
	for page, blocks := range map[string]int{"configuration-schema.md": 2, "existing-topologies.md": 1} {
		found := yamlBlocks(t, page)
		if len(found) != blocks {
			t.Errorf("%s has %d blocks of YAML, want %d", page, len(found), blocks)
		}
		for _, block := range found {
			if err := schema.ValidateYAML([]byte(block)); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
	dir := clitest.ConfigDir(t, map[string]string{"books.yaml": yamlBlocks(t, "existing-topologies.md")[0]})
	if r := warren.Run(t, "config", "validate", dir); r.Code != cli.ExitOK {
		t.Errorf("the topology made by hand: %+v", r)
	}
}
