package config

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"sigs.k8s.io/yaml"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli/clitest"
)

func TestADumpIsReadableAndComplete(t *testing.T) {
	t.Parallel()
	for _, wide := range []bool{false, true} {
		var out strings.Builder
		if err := (&dumpPage{wide: wide, now: clitest.Loaded.Add(7 * time.Minute)}).write(&out, clitest.Dump()); err != nil {
			t.Fatal(err)
		}
		clitest.Golden(t, map[bool]string{false: "dump-table", true: "dump-wide"}[wide], out.String())
		for line := range strings.Lines(out.String()) {
			if !wide && len(line) > 81 { // with its line break
				t.Errorf("over 80 columns: %s", line)
			}
		}
	}
}

func TestADumpIsTheSameMessageForScripts(t *testing.T) {
	t.Parallel()
	admin := clitest.Serve(t, (&clitest.Admin{Dumped: clitest.Dump()}).Register)
	r := warren.Call(t, clitest.Invocation{Env: map[string]string{"WARREN_SIDECAR_ADMIN": admin}}, "config", "dump", "-o", "json")
	var back adminv1.GetConfigDumpResponse
	if err := protojson.Unmarshal([]byte(r.Out), &back); err != nil || r.Code != cli.ExitOK || len(back.GetTopics()[0].GetRules()) != 2 {
		t.Errorf("exit %d, %v:\n%s%s", r.Code, err, r.Out, r.Err)
	}
	r = warren.Run(t, "config", "dump", "-o", "yaml", "--admin", admin)
	if asJSON, err := yaml.YAMLToJSON([]byte(r.Out)); err != nil || protojson.Unmarshal(asJSON, &back) != nil {
		t.Errorf("yaml: %v\n%s", err, r.Out)
	}
}

func TestASidecarThatIsAwayIsToldApartFromOneThatIsNone(t *testing.T) {
	t.Parallel()
	args := []string{"config", "dump", "--admin", clitest.Nobody(t)}
	clitest.Golden(t, "dump-nobody", clitest.Transcript(warren.Run(t, args...), args...))
	args = []string{"config", "dump", "--admin", clitest.Serve(t, (&clitest.ControlPlane{}).Register)}
	clitest.Golden(t, "dump-wrong-peer", clitest.Transcript(warren.Run(t, args...), args...))
}
