package schematest_test

import (
	"fmt"
	"testing"

	"github.com/warrenmesh/warren/api/schema/schematest"
)

// t stands in for the *testing.T of a test.
var t testing.TB = standIn{}

type standIn struct{ testing.TB }

func (standIn) Helper() {}

func ExampleSchema_ValidateYAML() {
	topic := schematest.Compile(t, "EventTopic")
	for _, ref := range []string{"{name: rabbit}", "rabbit"} {
		err := topic.ValidateYAML([]byte(`
apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: orders}
spec: {brokerRef: ` + ref + `}
`))
		fmt.Println("valid:", err == nil)
	}
	// Output:
	// valid: true
	// valid: false
}
