package subscribe

import (
	"strings"
	"testing"

	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli/clitest"
)

func TestSubscribeSaysWhomItTakesEventsFrom(t *testing.T) {
	t.Parallel()
	run := func(others uint32, more ...string) clitest.Result {
		fake := &clitest.Sidecar{Deliveries: orders(), Others: others}
		return warren.Run(t, append([]string{"subscribe", "billing", "-n", "1", "--sidecar", clitest.Serve(t, fake.Register)}, more...)...)
	}
	const said = "takes events from the service"
	if r := run(1); r.Code != cli.ExitOK || !strings.Contains(r.Err, said) || !strings.Contains(r.Err, "warren tail shop/billing") {
		t.Errorf("beside a service: %+v", r)
	}
	if r := run(0); strings.Contains(r.Err, said) {
		t.Errorf("alone: %+v", r)
	}
	if r := run(1, "--quiet"); r.Err != "" {
		t.Errorf("--quiet: %+v", r)
	}
}
