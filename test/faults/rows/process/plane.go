package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/middle"
	"github.com/warrenmesh/warren/test/faults/rig"
	"github.com/warrenmesh/warren/test/internal/product"
)

var planeRows = []rig.Scenario{
	{Row: 16, Name: "no-control-plane-at-start", Fault: "A sidecar starts while the control plane is down, with and without a last good configuration", Nodes: 1, Short: true, Run: noPlaneAtStart},
	{Row: 17, Name: "control-plane-killed", Fault: "The rig kills the control plane with kill -9 and starts it again after 3 s", Nodes: 1, Short: true, Run: planeKilled},
	{Row: 18, Name: "malformed-resource", Fault: "The rig corrupts a response of the control plane on its way to a sidecar", Nodes: 1, Short: true, Run: malformedResource},
	{Row: 19, Name: "config-storm", Fault: "The configuration changes 1,000 times a second among 10,000 rules", Nodes: 1, Run: configStorm},
}

// noPlaneAtStart: a sidecar with a last good configuration starts normally. A sidecar
// without one says that it has none.
func noPlaneAtStart(w *rig.World) check.Expect {
	w.Start(rig.Setup{})
	d := w.Disturb("no control plane at the start", func() string {
		pid := w.Plane.PID()
		w.Plane.Kill()
		w.Checkout.Signal(syscall.SIGTERM)
		w.Checkout.AwaitExit(15 * time.Second)
		return fmt.Sprintf("pid %d of the control plane is gone, the sidecar is started again", pid)
	})
	d.Heal(func() { w.Restart(w.Checkout); w.Checkout.AwaitReady() })
	w.AwaitOK(200)
	fresh := w.StartSidecar("fresh")
	w.Keep(time.Second)
	if err := fresh.Ready(w.Context()); err == nil || !strings.Contains(err.Error(), "config") {
		w.Errorf("a sidecar that never had a configuration says %v, want that it waits for one", err)
	}
	w.Plane = w.Mesh.StartControlPlane()
	fresh.AwaitReady()
	w.Finish()
	return w.Expect()
}

func planeKilled(w *rig.World) check.Expect {
	w.Start(rig.Setup{})
	d := w.Disturb("kill -9 of the control plane", func() string {
		pid := w.Plane.PID()
		w.Plane.Kill()
		return fmt.Sprintf("pid %d is gone", pid)
	})
	w.Keep(3 * time.Second)
	d.Heal(func() { w.Plane = w.Mesh.StartControlPlane() })
	w.AwaitOK(200)
	w.Finish()
	w.AllOK("the control plane's death shows")
	return w.Expect()
}

// malformedResource: a sidecar refuses it once, with a NACK. The configuration in force
// stays, and the control plane does not send the resource again and again.
func malformedResource(w *rig.World) check.Expect {
	var m *middle.Middle
	w.Start(rig.Setup{Between: func(plane string) string {
		var err error
		if m, err = middle.Listen(w.Context(), w.Mesh.Path("middle"), plane); err != nil {
			w.Fatal(err)
		}
		w.Cleanup(m.Close)
		return m.Target()
	}})
	d := w.Disturb("spoilt response", func() string {
		m.Spoil()
		w.Declared.Publish = "confirmTimeout: 3s"
		w.Declare()
		w.Await("a sidecar refuses it", 20*time.Second, func() bool { return m.Refusals() > 0 })
		return "NACK: " + rig.FirstLine(m.LastRefusal())
	})
	d.Heal(nil)
	answered := m.Responses()
	w.Keep(3 * time.Second)
	if more := m.Responses() - answered; more > 2 {
		w.Errorf("%d responses within 3 s of the refusal: it is sent in a loop", more)
	}
	refusals := m.Refusals()
	w.Declared.Publish = "confirmTimeout: 4s"
	w.Declare()
	w.Await("a good change is sent", 20*time.Second, func() bool { return m.Responses() > answered })
	w.Keep(time.Second)
	if m.Refusals() > refusals {
		w.Errorf("a good change is refused too: %s", m.LastRefusal())
	}
	w.Finish()
	w.AllOK("the spoilt response shows")
	return w.Expect()
}

// configStorm: changes are combined, the last one is in force soon, and publishing
// becomes hardly slower.
func configStorm(w *rig.World) check.Expect {
	const rules, length = 10_000, 8 * time.Second
	apply := time.Duration(float64(time.Second) * w.Slow)
	w.Start(rig.Setup{
		Files: map[string]string{"rules.yaml": manyRules(w, rules)},
		// This load leaves the control plane some of two cores. One slow disk write of
		// the broker delays every publisher once, and must not decide their p99.
		Load: func(m *rig.Mix) { m.Rate, m.Batches = 40, 0 },
	})
	// In a mesh the control plane has a machine of its own. Here it has more work than
	// it can do, and must not take the sidecars' cores.
	setPriority(w, w.Plane, lowest)
	calm := w.Recorder.Now()
	w.Keep(length)
	storm := w.Recorder.Now()
	var written int
	d := w.Disturb("storm", func() string {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for began := time.Now(); time.Since(began) < length; written++ {
			<-tick.C
			w.Declared.Publish = fmt.Sprintf("confirmTimeout: %dms", 2000+written%100)
			w.Declare()
		}
		return fmt.Sprintf("%d changes of the topic within %v", written, length)
	})
	setPriority(w, w.Plane, usual)
	w.Mesh.Write("storm.yaml", topicDocument(w, "last"))
	last := time.Now()
	over := w.Recorder.Now()
	w.Await("the last change is in force", time.Minute, func() bool {
		answer, _ := w.Try("last", rig.OddEvent(fmt.Sprintf("last-%d", time.Now().UnixNano())))
		return answer.Reason == "UNROUTABLE"
	})
	took := time.Since(last)
	if took > apply {
		w.Errorf("the last of %d changes was in force after %v, want %v", written, took, apply)
	}
	d.Prove(fmt.Sprintf("the last one in force after %d ms", took.Milliseconds()))
	d.Heal(nil)
	w.AwaitOK(100)
	w.Finish()
	before, during := w.P99(calm, storm), w.P99(storm, over)
	w.Logf("p99 of a publish is %v, and %v in the storm", before, during)
	if during > max(time.Duration(2*w.Slow*float64(before)), 50*time.Millisecond) {
		w.Errorf("p99 of a publish is %v in the storm, %v before", during, before)
	}
	e := w.Expect()
	e.Growth.Memory = 128 << 20 // during a change of 10,000 rules, the old and the new rules are in memory
	return e
}

// Priorities of processes.
const (
	usual  = 0
	lowest = 19 // only when the machine is otherwise idle
)

// setPriority sets the priority of a process. Raising it again needs root; otherwise it
// stays low.
func setPriority(w *rig.World, p *product.Process, nice int) {
	w.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.PID()))
	if err != nil {
		w.Fatal(err)
	}
	for _, t := range tasks { // a thread that is started later inherits the priority
		if id, err := strconv.Atoi(t.Name()); err == nil {
			_ = syscall.Setpriority(syscall.PRIO_PROCESS, id, nice) // it may have ended
		}
	}
}

func topicDocument(w *rig.World, name string) string {
	return fmt.Sprintf(`apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: %s, namespace: %s}
spec:
  brokerRef: {name: main}
  exchange: {name: %s}
---
`, name, w.Namespace, name)
}

// manyRules declares routes of the topic with rules that match no published event.
func manyRules(w *rig.World, n int) string {
	const each = 16
	var b strings.Builder
	for i := range n / each {
		fmt.Fprintf(&b, `apiVersion: warrenmesh.io/v1alpha1
kind: EventRoute
metadata: {name: many%d, namespace: %s}
spec:
  parentRefs: [{kind: EventTopic, name: %s}]
  rules:
`, i, w.Namespace, rig.Orders)
		for j := range each {
			fmt.Fprintf(&b, "  - {name: r%d, filters: [{exact: {type: none.%d.%d}}], backendRefs: [{kind: EventTopic, name: %s}]}\n", j, i, j, rig.Orders)
		}
		b.WriteString("---\n")
	}
	return b.String()
}
