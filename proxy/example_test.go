package proxy_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/warrenmesh/warren/proxy"
	"github.com/warrenmesh/warren/xds"
)

func ExampleProxy() {
	p, err := proxy.New(proxy.Options{
		Node:         xds.Node{ID: "billing.shop~1", Namespace: "shop", Workload: "billing"},
		ControlPlane: "127.0.0.1:1", // none answers there
		Listen:       []string{"127.0.0.1:0"},
		Logger:       slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- p.Run(ctx) }()
	<-p.Started()
	host, _, _ := net.SplitHostPort(p.EventAddresses()[0])
	fmt.Println("the event API is on", host)
	fmt.Println("ready:", p.Ready() == nil) // no configuration has arrived
	stop()                                  // drains
	fmt.Println("stopped:", <-ended)
	// Output:
	// the event API is on 127.0.0.1
	// ready: false
	// stopped: <nil>
}
