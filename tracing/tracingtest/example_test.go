package tracingtest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/tracing/messaging"
	"github.com/warrenmesh/warren/tracing/tracingtest"
)

// t stands in for the *testing.T of a test.
var t testing.TB = standIn{}

type standIn struct{ testing.TB }

func (standIn) Helper()        {}
func (standIn) Cleanup(func()) {}

// A test hands the code under test a tracer and looks at the spans it leaves.
func ExampleRecorder_Only() {
	provider, recorder := tracingtest.New(t, tracing.Options{Component: "sidecar"})

	_, publish := provider.Messaging().StartPublish(context.Background(), messaging.Publish{Topic: "shop/orders"})
	publish.End(errors.New("no node is up"))

	span := recorder.Only("publish shop/orders")
	fmt.Println(span.Failed, span.Status, span.Attrs["warren.component"], span.Attrs["error.type"])
	// Output: true no node is up sidecar _OTHER
}
