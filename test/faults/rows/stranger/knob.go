package stranger

import (
	"fmt"
	"strings"
	"time"

	"github.com/warrenmesh/warren/test/faults/rig"
)

// voidTopic declares a topic that no queue listens to.
func voidTopic(w *rig.World, name string, publish ...string) string {
	return fmt.Sprintf(`apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: %s, namespace: %s}
spec:
  brokerRef: {name: main}
  exchange: {name: %s}
  publish: {%s}
---
`, name, w.Namespace, name, strings.Join(append([]string{"mandatory: true"}, publish...), ", "))
}

// knob is a topic whose size limit changes, so that a test sees at once whether a
// change is in force.
type knob struct {
	w     *rig.World
	large bool
	tries int
}

const (
	knobTopic  = "knob"
	knobPrefix = "knob-"
)

// knobFile declares the topic with its first limit.
func knobFile(w *rig.World) map[string]string {
	return map[string]string{knobName: knobDocument(w, 1000)}
}

const knobName = "knob.yaml"

func knobDocument(w *rig.World, limit int) string {
	return voidTopic(w, knobTopic, fmt.Sprintf("maxEventBytes: %d", limit))
}

// newKnob waits until the sidecar knows the topic.
func newKnob(w *rig.World) *knob {
	w.Helper()
	k := &knob{w: w}
	w.Await("the topic knob is known", w.Slowly(30*time.Second), func() bool { return k.try() == "EVENT_TOO_LARGE" })
	return k
}

func (k *knob) try() (reason string) {
	k.tries++
	answer, _ := k.w.Try(knobTopic, rig.EventWithData(fmt.Sprintf("%s%d-%d", knobPrefix, k.tries, time.Now().UnixNano()), 2000))
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
	k.w.Mesh.Write(knobName, knobDocument(k.w, limit))
	k.w.Await("a change is in force", k.w.Slowly(30*time.Second), func() bool { return k.try() == want })
	return time.Since(began)
}
