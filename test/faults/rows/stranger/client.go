package stranger

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/hostile"
	"github.com/warrenmesh/warren/test/faults/rig"
)

var hostileRows = []rig.Scenario{
	{
		Row: 45, Name: "hostile-client", Fault: "A local client attacks its sidecar with long names, unread streams, compressed calls, resets, idle connections, unknown topics and silent streams",
		Holds: "the sidecar stays below the 128 MiB of its pod; the p99 of another caller stays below 300 ms; the sidecar ends silent streams; a configuration change still arrives after the control plane was restarted",
		Nodes: 1, Short: true, Patience: 6 * time.Minute, Run: hostileClient,
	},
	{
		Row: 46, Name: "hostile-peer", Fault: "An xDS peer asks for a million names, uses another's id, sends labels of 3 MB and opens thousands of streams",
		Holds: "the control plane ends its streams with RESOURCE_EXHAUSTED; a change of another sidecar takes at most twice as long as before; the control plane stays below the 256 MiB of its pod",
		Nodes: 1, Short: true, Patience: 6 * time.Minute, Run: hostilePeer,
	},
}

const (
	// podMemory is the sidecar's limit in the manifests and softLimit its GOMEMLIMIT;
	// planeMemory is the control plane's limit.
	podMemory   = 128 << 20
	softLimit   = "100MiB"
	softMemory  = 100 << 20
	planeMemory = 256 << 20
	// othersP99 is how long a well-behaved caller may wait.
	othersP99 = 300 * time.Millisecond
)

// hostileClient: a malicious client affects only itself. The sidecar stays below the
// pod's limit, and another caller waits at most a moment.
func hostileClient(w *rig.World) check.Expect {
	var load rig.Mix
	w.Start(rig.Setup{
		Declared: rig.Declared{More: voidTopic(w, hostile.Topic)},
		Files:    knobFile(w),
		Env:      []string{"GOMEMLIMIT=" + softLimit},
		Load:     func(m *rig.Mix) { m.Rate, m.Streams, m.Batches = 30, 0, 0; load = *m },
	})
	// The same number of callers use another sidecar. They show how much of a delay
	// comes from the machine: each of them also meets the moments in which the whole
	// machine stops.
	for i := range load.Unary {
		control := w.Publisher(load, fmt.Sprint(controlName, i), 1)
		control.Client = w.Billing
		w.Load.Publish(control.Unary)
	}
	calmFrom := w.Recorder.Now()
	w.Keep(4 * time.Second)
	calm := w.P99(calmFrom, w.Recorder.Now())
	for _, attack := range []string{
		"long names", "unread streams", "compressed calls", "resets", "idle connections", "unknown topics", "silent streams",
	} {
		from := w.Recorder.Now()
		d := w.Disturb(attack, func() string { return attackCheckout(w, attack) })
		p99, elsewhere := w.P99(from, w.Recorder.Now()), w.P99Of(controlName, from, w.Recorder.Now())
		d.Prove(fmt.Sprintf("another caller's p99 %d ms, %d ms before, %d ms at another sidecar; at most %d MiB so far",
			p99.Milliseconds(), calm.Milliseconds(), elsewhere.Milliseconds(), highWater(w.Checkout.PID())>>20))
		w.Logf("%s", d.Fault.Proof)
		if bound := max(time.Duration(float64(othersP99)*w.Slow), 3*calm, 3*elsewhere); p99 > bound {
			w.Errorf("%s: another caller's p99 is %v, %v before, %v at another sidecar", attack, p99, calm, elsewhere)
		}
		d.Heal(nil)
		w.AwaitOK(20)
	}
	// After long names, a sidecar that kept them could not even connect again.
	w.Plane.Kill()
	w.Plane = w.Mesh.StartControlPlane()
	knob := newKnob(w)
	w.Logf("a change is in force %v after the control plane came back", knob.turn())
	w.Keep(3 * time.Second) // long enough for the resources of its connections to be freed
	w.Finish()
	if most := highWater(w.Checkout.PID()); most > podMemory && !w.Race {
		w.Errorf("the sidecar had %d MiB, its pod may have %d MiB", most>>20, podMemory>>20)
	}
	e := w.Expect()
	e.Reasons = []string{}
	e.Growth.Memory = softMemory // below the limit it may keep the memory that it used
	e.Refused = func(p *history.Publish) bool { return rig.Odd(p) && !strings.HasPrefix(p.ID, knobPrefix) }
	e.Void = []string{knobTopic}
	e.MaxRecovery = 2 * time.Second
	return e
}

// attackCheckout attacks checkout's sidecar from another process.
func attackCheckout(w *rig.World, name string) (proof string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 3*time.Minute)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		w.Fatal(err)
	}
	args := []string{"-attack", name, "-events", w.Checkout.TCP, "-status", w.Checkout.StatusAddress()}
	if w.Short {
		args = append(args, "-short")
	}
	var out, errs strings.Builder
	cmd := exec.CommandContext(ctx, self, args...) //nolint:gosec // this program itself
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		w.Errorf("%s: %v: %s", name, err, errs.String())
	}
	return strings.TrimSpace(out.String())
}

// controlName is the prefix of the keys of the publisher at the other sidecar.
const controlName = "control"

// highWater is the peak memory of a process in bytes; 0 when the process is gone.
func highWater(pid int) uint64 {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			n, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return n << 10
		}
	}
	return 0
}
