package faults

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
)

var hostileRows = []Scenario{
	{
		Row: 45, Name: "hostile-client", Fault: "a local client with long names, unread streams, compressed calls, resets, idle connections, unknown topics, silent streams",
		Holds: "the sidecar stays below the 128 MiB of its pod, the p99 of another caller below 300 ms, silent streams are ended, and a change of the configuration still arrives after the control plane was started anew",
		Nodes: 1, Short: true, Patience: 6 * time.Minute, run: hostileClient,
	},
	{
		Row: 46, Name: "hostile-peer", Fault: "an xDS peer with a million names, another's id, labels of 3 MB, thousands of streams",
		Holds: "it is ended with RESOURCE_EXHAUSTED, another sidecar's change takes twice as long as before at most, and the control plane stays below the 256 MiB of its pod",
		Nodes: 1, Short: true, Patience: 6 * time.Minute, run: hostilePeer,
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
func hostileClient(w *World) check.Expect {
	var load mix
	w.start(setup{
		declared: declared{more: w.voidTopic(hostile.Topic)},
		files:    w.knobFile(),
		env:      []string{"GOMEMLIMIT=" + softLimit},
		load:     func(m *mix) { m.rate, m.streams, m.batches = 30, 0, 0; load = *m },
	})
	// The same number of callers use another sidecar. They show how much of a delay
	// comes from the machine: each of them also meets the moments in which the whole
	// machine stops.
	for i := range load.unary {
		control := w.publisher(load, fmt.Sprint(controlName, i), 1)
		control.Client = w.billing
		w.Load.Publish(control.Unary)
	}
	calmFrom := w.Recorder.Now()
	w.keep(4 * time.Second)
	calm := w.p99(calmFrom, w.Recorder.Now())
	for _, attack := range []string{
		"long names", "unread streams", "compressed calls", "resets", "idle connections", "unknown topics", "silent streams",
	} {
		from := w.Recorder.Now()
		d := w.disturb(attack, func() string { return w.attack(attack) })
		p99, elsewhere := w.p99(from, w.Recorder.Now()), w.p99Of(controlName, from, w.Recorder.Now())
		d.prove(fmt.Sprintf("another caller's p99 %d ms, %d ms before, %d ms at another sidecar; at most %d MiB so far",
			p99.Milliseconds(), calm.Milliseconds(), elsewhere.Milliseconds(), highWater(w.checkout.PID())>>20))
		w.Logf("%s", d.fault.Proof)
		if bound := max(time.Duration(float64(othersP99)*w.slow), 3*calm, 3*elsewhere); p99 > bound {
			w.Errorf("%s: another caller's p99 is %v, %v before, %v at another sidecar", attack, p99, calm, elsewhere)
		}
		d.heal(nil)
		w.awaitOK(20)
	}
	// After long names, a sidecar that kept them could not even connect again.
	w.plane.Kill()
	w.plane = w.Mesh.StartControlPlane()
	knob := w.newKnob()
	w.Logf("a change is in force %v after the control plane came back", knob.turn())
	w.keep(3 * time.Second) // long enough for the resources of its connections to be freed
	w.finish()
	if most := highWater(w.checkout.PID()); most > podMemory && !w.race {
		w.Errorf("the sidecar had %d MiB, its pod may have %d MiB", most>>20, podMemory>>20)
	}
	e := w.expect()
	e.Reasons = []string{}
	e.Growth.Memory = softMemory // below the limit it may keep the memory that it used
	e.Refused = func(p *history.Publish) bool { return odd(p) && !strings.HasPrefix(p.ID, knobPrefix) }
	e.Void = []string{knobTopic}
	e.MaxRecovery = 2 * time.Second
	return e
}

// attack attacks checkout's sidecar from another process.
func (w *World) attack(name string) (proof string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 3*time.Minute)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		w.Fatal(err)
	}
	args := []string{"-attack", name, "-events", w.checkout.TCP, "-status", w.checkout.StatusAddress()}
	if w.short {
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

// voidTopic declares a topic that no queue listens to.
func (w *World) voidTopic(name string, publish ...string) string {
	return fmt.Sprintf(`apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: %s, namespace: %s}
spec:
  brokerRef: {name: main}
  exchange: {name: %s}
  publish: {%s}
---
`, name, w.namespace, name, strings.Join(append([]string{"mandatory: true"}, publish...), ", "))
}

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

// knob is a topic whose size limit changes, so that a test sees at once whether a
// change is in force.
type knob struct {
	w     *World
	large bool
	tries int
}

const (
	knobTopic  = "knob"
	knobPrefix = "knob-"
)

// knobFile declares the topic with its first limit.
func (w *World) knobFile() map[string]string {
	return map[string]string{knobName: w.knobTopic(1000)}
}

const knobName = "knob.yaml"

func (w *World) knobTopic(limit int) string {
	return w.voidTopic(knobTopic, fmt.Sprintf("maxEventBytes: %d", limit))
}

// newKnob waits until the sidecar knows the topic.
func (w *World) newKnob() *knob {
	w.Helper()
	k := &knob{w: w}
	w.await("the topic knob is known", w.slowly(30*time.Second), func() bool { return k.try() == "EVENT_TOO_LARGE" })
	return k
}

func (k *knob) try() (reason string) {
	k.tries++
	answer, _ := k.w.try(knobTopic, withData(fmt.Sprintf("%s%d-%d", knobPrefix, k.tries, time.Now().UnixNano()), 2000))
	return answer.Reason
}

// turn changes the limit and returns how long it took until the change was in force.
func (k *knob) turn() time.Duration {
	k.w.Helper()
	k.large = !k.large
	want, limit := "EVENT_TOO_LARGE", 1000
	if k.large {
		want, limit = "UNROUTABLE", 4000
	}
	began := time.Now()
	k.w.Mesh.Write(knobName, k.w.knobTopic(limit))
	k.w.await("a change is in force", k.w.slowly(30*time.Second), func() bool { return k.try() == want })
	return time.Since(began)
}
