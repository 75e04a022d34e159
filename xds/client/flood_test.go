package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
)

func TestAFloodOfNamesThatDoNotExistIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log lines
		c, s := served(t, func(o *Options) {
			o.NewTopics = 10
			o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		})
		run(t, c)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		var refused, missing int
		var mu sync.Mutex
		var flood sync.WaitGroup
		for i := range 1000 {
			flood.Go(func() {
				err := c.Await(ctx, mesh.Name{Namespace: "shop", Name: fmt.Sprintf("made-up-%d", i)})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case errors.Is(err, ErrTooManyNewTopics):
					refused++
				case errors.Is(err, ErrNotFound):
					missing++
				default:
					t.Errorf("name %d: %v", i, err)
				}
			})
		}
		synctest.Wait()
		asked := c.Status().Resources
		removed := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: xds.TypeListener, Nonce: "1"}
		for _, r := range asked {
			removed.RemovedResources = append(removed.RemovedResources, r.Name)
		}
		s.do(t, command{response: removed})
		flood.Wait()
		if refused != 990 || missing != 10 || len(asked) != 10 {
			t.Errorf("%d refused, %d missing, %d asked for; want 990, 10 and 10 of 1000", refused, missing, len(asked))
		}
		// Names that exist cost nothing: as many as there are can be asked for in no time.
		pass(16 * time.Second)
		for i := range 100 {
			c.Want(mesh.Name{Namespace: "shop", Name: fmt.Sprintf("real-%d", i)})
			synctest.Wait()
			response := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: xds.TypeListener, Nonce: "2"}
			parseResource(t, response, fmt.Sprintf("topic shop/real-%d v1", i))
			s.do(t, command{response: response})
			synctest.Wait()
		}
		if n := strings.Count(log.String(), "topic not requested"); n > 0 {
			t.Errorf("%d topics that exist were refused:\n%s", n, log.String())
		}
		if n := strings.Count(log.String(), "does not exist"); n != 10 {
			t.Errorf("%d lines about 10 missing names", n)
		}
		// A minute after they were wanted they are forgotten, on both sides.
		pass(time.Minute)
		synctest.Wait()
		for _, r := range c.Status().Resources {
			if strings.Contains(r.Name, "made-up") {
				t.Errorf("%s is still asked for", r.Name)
			}
		}
	})
}

func TestAMissingNameIsRememberedWhileItIsWantedAndForgottenAfterwards(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var requests []string
		s := startServer(t, func(line string) {
			mu.Lock()
			defer mu.Unlock()
			requests = append(requests, line)
		})
		seen := func() []string {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			defer func() { requests = nil }()
			return slices.Clone(requests)
		}
		c := newClient(t, options(func(o *Options) {
			o.DialOptions = s.dialOptions()
			o.Topics = []mesh.Name{{Namespace: "shop", Name: "pinned"}}
		}))
		run(t, c)
		typo := mesh.Name{Namespace: "shop", Name: "typo"}
		c.Want(typo)
		synctest.Wait()
		s.do(t, command{response: &discoveryv3.DeltaDiscoveryResponse{
			TypeUrl: xds.TypeListener, Nonce: "1", RemovedResources: []string{"topic/shop/typo", "topic/shop/pinned"},
		}})
		_ = seen()
		for range 5 { // a service that tries again and again
			pass(30 * time.Second)
			if err := c.Await(t.Context(), typo); !errors.Is(err, ErrNotFound) {
				t.Errorf("wanted each half minute: %v, want ErrNotFound at once", err)
			}
		}
		if asked := seen(); len(asked) != 0 {
			t.Errorf("asked again: %v", asked)
		}
		pass(time.Minute)
		if asked := seen(); len(asked) != 1 || !strings.Contains(asked[0], "unsubscribe [topic/shop/typo]") {
			t.Errorf("a minute later: %v, want the name given up and nothing else", asked)
		}
		c.Want(typo)
		if asked := seen(); len(asked) != 1 || !strings.Contains(asked[0], "subscribe [topic/shop/typo]") {
			t.Errorf("wanted anew: %v, want the name asked for", asked)
		}
	})
}

// The failure that follows each first answer must not be repeated at the pace of a
// control plane that is well.
func TestAnAnswerThatBringsNothingNewDoesNotResetTheBackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var delays []int
		c, s := served(t, func(o *Options) {
			o.Backoff = func(n int) time.Duration {
				delays = append(delays, n)
				return time.Second
			}
		})
		run(t, c)
		for range 5 {
			synctest.Wait()
			response := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: xds.TypeListener, Nonce: "1"}
			parseResource(t, response, "topic shop/huge v1")
			s.do(t, command{response: response})
			synctest.Wait()
			s.do(t, command{end: status.Error(codes.ResourceExhausted, "received message larger than max")})
			pass(time.Second)
		}
		synctest.Wait()
		if want := []int{0, 1, 2, 3, 4}; !slices.Equal(delays, want) {
			t.Errorf("fruitless connections in a row: %v, want %v", delays, want)
		}
		// A stream that lasts is a good one, though nothing changed.
		synctest.Wait()
		response := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: xds.TypeListener, Nonce: "1"}
		s.do(t, command{response: response})
		pass(steady)
		s.do(t, command{end: status.Error(codes.Unavailable, "going away")})
		pass(time.Second)
		synctest.Wait()
		if last := delays[len(delays)-1]; last != 0 {
			t.Errorf("after a steady stream the backoff counts %d, want 0", last)
		}
	})
}

func TestARequestIsSplitBelowTheLimit(t *testing.T) {
	t.Parallel()
	r := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeListener, InitialResourceVersions: map[string]string{"subscription/shop/billing": "v7"}}
	r.ResourceNamesSubscribe = append(r.ResourceNamesSubscribe, "*")
	for i := range 10_000 {
		name := fmt.Sprintf("topic/%s/%s-%d", strings.Repeat("n", 63), strings.Repeat("t", 247), i)
		r.ResourceNamesSubscribe = append(r.ResourceNamesSubscribe, name)
		r.InitialResourceVersions[name] = "0123456789abcdef"
		r.ResourceNamesUnsubscribe = append(r.ResourceNamesUnsubscribe, "topic/shop/old-"+name)
	}
	parts := split(r, maxRequest)
	var subscribed, unsubscribed []string
	for i, p := range parts {
		if n := proto.Size(p); n > maxRequest {
			t.Errorf("part %d has %d bytes", i, n)
		}
		if i > 0 && len(p.GetInitialResourceVersions()) > 0 {
			t.Errorf("part %d has versions; only the first one's are understood", i)
		}
		if p.GetTypeUrl() != xds.TypeListener || len(p.GetResourceNamesSubscribe())+len(p.GetResourceNamesUnsubscribe()) == 0 {
			t.Errorf("part %d is no request of names", i)
		}
		subscribed = append(subscribed, p.GetResourceNamesSubscribe()...)
		unsubscribed = append(unsubscribed, p.GetResourceNamesUnsubscribe()...)
	}
	if !slices.Equal(subscribed, r.GetResourceNamesSubscribe()) || !slices.Equal(unsubscribed, r.GetResourceNamesUnsubscribe()) {
		t.Error("names are lost or out of order")
	}
	first := parts[0]
	if first.GetInitialResourceVersions()["subscription/shop/billing"] != "v7" {
		t.Error("the version of what came by the wildcard is lost")
	}
	for name := range first.GetInitialResourceVersions() {
		if name != "subscription/shop/billing" && !slices.Contains(first.GetResourceNamesSubscribe(), name) {
			t.Errorf("%.40s...: has a version and is not asked for in the same request", name)
		}
	}
	if len(first.GetInitialResourceVersions()) < 1000 {
		t.Errorf("only %d versions in the first part", len(first.GetInitialResourceVersions()))
	}
	if small := split(first, maxRequest); len(small) != 1 || small[0] != first {
		t.Error("a request that fits is changed")
	}
}

// lines is a log that may be written to from any goroutine.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
