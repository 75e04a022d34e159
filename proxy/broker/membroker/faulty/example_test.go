package faulty_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/membroker/faulty"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

func ExampleBroker_Outage() {
	b := faulty.New(membroker.Options{})
	defer b.Close()
	node := b.Node(membroker.NodeOptions{})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = node.Run(ctx) })
	defer running.Wait()
	defer cancel()

	up := func() bool { return node.EnsureTopology(ctx, queueing.Topology{}) == nil } // it waits for the node
	fmt.Println("up:", up())
	end := b.Outage()
	fmt.Println("in the outage:", node.State().Reason)
	end()
	fmt.Println("up again:", up())
	// Output:
	// up: true
	// in the outage: not connected to the broker in this process
	// up again: true
}
