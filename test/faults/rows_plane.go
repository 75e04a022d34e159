package faults

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/middle"
	"github.com/warrenmesh/warren/test/internal/product"
)

var planeRows = []Scenario{
	{Row: 16, Name: "no-control-plane-at-start", Fault: "the control plane is down when a sidecar starts, with and without a last good configuration", Nodes: 1, Short: true, run: noPlaneAtStart},
	{Row: 17, Name: "control-plane-killed", Fault: "kill -9 of the control plane for 3 s", Nodes: 1, Short: true, run: planeKilled},
	{Row: 18, Name: "malformed-resource", Fault: "a response of the control plane is spoilt on its way", Nodes: 1, Short: true, run: malformedResource},
	{Row: 19, Name: "config-storm", Fault: "1,000 configuration changes a second among 10,000 rules", Nodes: 1, run: configStorm},
}

// noPlaneAtStart: a sidecar with a last good configuration starts normally. A sidecar
// without one says that it has none.
func noPlaneAtStart(w *World) check.Expect {
	w.start(setup{})
	d := w.disturb("no control plane at the start", func() string {
		pid := w.plane.PID()
		w.plane.Kill()
		w.checkout.Signal(syscall.SIGTERM)
		w.checkout.AwaitExit(15 * time.Second)
		return fmt.Sprintf("pid %d of the control plane is gone, the sidecar is started again", pid)
	})
	d.heal(func() { w.again(w.checkout); w.checkout.AwaitReady() })
	w.awaitOK(200)
	fresh := w.service("fresh")
	w.keep(time.Second)
	if err := fresh.Ready(w.Context()); err == nil || !strings.Contains(err.Error(), "config") {
		w.Errorf("a sidecar that never had a configuration says %v, want that it waits for one", err)
	}
	w.plane = w.Mesh.StartControlPlane()
	fresh.AwaitReady()
	w.finish()
	return w.expect()
}

func planeKilled(w *World) check.Expect {
	w.start(setup{})
	d := w.disturb("kill -9 of the control plane", func() string {
		pid := w.plane.PID()
		w.plane.Kill()
		return fmt.Sprintf("pid %d is gone", pid)
	})
	w.keep(3 * time.Second)
	d.heal(func() { w.plane = w.Mesh.StartControlPlane() })
	w.awaitOK(200)
	w.finish()
	w.allOK("the control plane's death shows")
	return w.expect()
}

// allOK checks that every publish was confirmed.
func (w *World) allOK(otherwise string) {
	w.Helper()
	for _, p := range w.Recorder.Run().Publishes {
		if p.Result != history.OK {
			w.Errorf("%s: %s is %v, %s %s", otherwise, p.ID, p.Result, p.Code, p.Reason)
			return
		}
	}
}

// malformedResource: a sidecar refuses it once, with a NACK. The configuration in force
// stays, and the control plane does not send the resource again and again.
func malformedResource(w *World) check.Expect {
	var m *middle.Middle
	w.start(setup{between: func(plane string) string {
		var err error
		if m, err = middle.Listen(w.Context(), w.Mesh.Path("middle"), plane); err != nil {
			w.Fatal(err)
		}
		w.Cleanup(m.Close)
		return m.Target()
	}})
	d := w.disturb("spoilt response", func() string {
		m.Spoil()
		w.declared.publish = "confirmTimeout: 3s"
		w.declare()
		w.await("a sidecar refuses it", 20*time.Second, func() bool { return m.Refusals() > 0 })
		return "NACK: " + firstLine(m.LastRefusal())
	})
	d.heal(nil)
	answered := m.Responses()
	w.keep(3 * time.Second)
	if more := m.Responses() - answered; more > 2 {
		w.Errorf("%d responses within 3 s of the refusal: it is sent in a loop", more)
	}
	refusals := m.Refusals()
	w.declared.publish = "confirmTimeout: 4s"
	w.declare()
	w.await("a good change is sent", 20*time.Second, func() bool { return m.Responses() > answered })
	w.keep(time.Second)
	if m.Refusals() > refusals {
		w.Errorf("a good change is refused too: %s", m.LastRefusal())
	}
	w.finish()
	w.allOK("the spoilt response shows")
	return w.expect()
}

// configStorm: changes are combined, the last one is in force soon, and publishing
// becomes hardly slower.
func configStorm(w *World) check.Expect {
	const rules, length = 10_000, 8 * time.Second
	apply := time.Duration(float64(time.Second) * w.slow)
	w.start(setup{
		files: map[string]string{"rules.yaml": w.manyRules(rules)},
		// This load leaves the control plane some of two cores. One slow disk write of
		// the broker delays every publisher once, and must not decide their p99.
		load: func(m *mix) { m.rate, m.batches = 40, 0 },
	})
	// In a mesh the control plane has a machine of its own. Here it has more work than
	// it can do, and must not take the sidecars' cores.
	w.priority(w.plane, lowest)
	calm := w.Recorder.Now()
	w.keep(length)
	storm := w.Recorder.Now()
	var written int
	d := w.disturb("storm", func() string {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for began := time.Now(); time.Since(began) < length; written++ {
			<-tick.C
			w.declared.publish = fmt.Sprintf("confirmTimeout: %dms", 2000+written%100)
			w.declare()
		}
		return fmt.Sprintf("%d changes of the topic within %v", written, length)
	})
	w.priority(w.plane, usual)
	w.Mesh.Write("storm.yaml", w.topicDocument("last"))
	last := time.Now()
	over := w.Recorder.Now()
	w.await("the last change is in force", time.Minute, func() bool {
		answer, _ := w.try("last", plain(fmt.Sprintf("last-%d", time.Now().UnixNano())))
		return answer.Reason == "UNROUTABLE"
	})
	took := time.Since(last)
	if took > apply {
		w.Errorf("the last of %d changes was in force after %v, want %v", written, took, apply)
	}
	d.prove(fmt.Sprintf("the last one in force after %d ms", took.Milliseconds()))
	d.heal(nil)
	w.awaitOK(100)
	w.finish()
	before, during := w.p99(calm, storm), w.p99(storm, over)
	w.Logf("p99 of a publish is %v, and %v in the storm", before, during)
	if during > max(time.Duration(2*w.slow*float64(before)), 50*time.Millisecond) {
		w.Errorf("p99 of a publish is %v in the storm, %v before", during, before)
	}
	e := w.expect()
	e.Growth.Memory = 128 << 20 // during a change of 10,000 rules, the old and the new rules are in memory
	return e
}

// Priorities of processes.
const (
	usual  = 0
	lowest = 19 // only when the machine is otherwise idle
)

// priority sets the priority of a process. Raising it again needs root; otherwise it
// stays low.
func (w *World) priority(p *product.Process, nice int) {
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

// p99 is the 99th percentile of the load's unary calls in an interval.
func (w *World) p99(from, until time.Duration) time.Duration { return w.p99Of("u", from, until) }

// p99Of is the 99th percentile of the calls of publishers whose names begin with name.
func (w *World) p99Of(name string, from, until time.Duration) time.Duration {
	var took []time.Duration
	for _, p := range w.Recorder.Run().Publishes {
		if strings.HasPrefix(p.Key, name) && p.Start >= from && p.End > 0 && p.End < until {
			took = append(took, p.End-p.Start)
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}

func (w *World) topicDocument(name string) string {
	return fmt.Sprintf(`apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: %s, namespace: %s}
spec:
  brokerRef: {name: main}
  exchange: {name: %s}
---
`, name, w.namespace, name)
}

// manyRules declares routes of the topic with rules that match no published event.
func (w *World) manyRules(n int) string {
	const each = 16
	var b strings.Builder
	for i := range n / each {
		fmt.Fprintf(&b, `apiVersion: warrenmesh.io/v1alpha1
kind: EventRoute
metadata: {name: many%d, namespace: %s}
spec:
  parentRefs: [{kind: EventTopic, name: %s}]
  rules:
`, i, w.namespace, topicName)
		for j := range each {
			fmt.Fprintf(&b, "  - {name: r%d, filters: [{exact: {type: none.%d.%d}}], backendRefs: [{kind: EventTopic, name: %s}]}\n", j, i, j, topicName)
		}
		b.WriteString("---\n")
	}
	return b.String()
}
