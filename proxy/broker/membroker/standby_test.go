package membroker_test

import (
	"testing"
	"testing/synctest"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/membroker/faulty"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

func TestConsumersOfASingleActiveQueueTakeTurnsInTheOrderOfComing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := faulty.New(membroker.Options{})
		defer b.Close()
		node, other := start(t, b, membroker.NodeOptions{}), start(t, b, membroker.NodeOptions{})
		mustEnsure(t, node, queueing.Topology{Policy: mesh.Manage, Queues: []queueing.Queue{{Name: "q", SingleActive: true}}})
		first, endFirst := consume(t, node, "q", 1)
		synctest.Wait()
		second, endSecond := consume(t, other, "q", 1)
		synctest.Wait()
		third, endThird := consume(t, node, "q", 1)
		synctest.Wait()
		if s, err := node.Inspect(t.Context(), "q"); err != nil || s.Consumers != 3 {
			t.Errorf("Inspect: %+v, %v; want 3 consumers", s, err)
		}
		want := func(in <-chan *queueing.Delivery, who string) {
			t.Helper()
			synctest.Wait()
			for name, each := range map[string]<-chan *queueing.Delivery{"first": first, "second": second, "third": third} {
				if has := len(each) > 0; has != (each == in) {
					t.Fatalf("the %s consumer has a delivery: %t; it is the %s one's turn", name, has, who)
				}
			}
			<-in
		}
		mustPublish(t, node, message("", "q", "1"))
		want(first, "first")
		endFirst()
		want(second, "second")
		b.InterruptNode(other.Node) // its consumer comes back behind the third
		want(third, "third")
		endThird()
		want(second, "second")
		endSecond()
	})
}
