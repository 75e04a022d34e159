package status

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli/clitest"
	"github.com/warrenmesh/warren/xds"
)

// The control plane lists objects and sidecars in no order; the page has one.
func TestTheOrderOfAPageDoesNotDependOnTheAnswer(t *testing.T) {
	t.Parallel()
	state := clitest.Troubled()
	state.Objects = append(state.Objects, &adminv1.Object{Kind: "EventTopic", Namespace: "eu", Name: "orders"}, &adminv1.Object{Kind: "EventTopic", Namespace: "shop", Name: "audit"})
	state.Sidecars = append(state.Sidecars, &adminv1.Sidecar{Id: "billing.shop~1c20", Namespace: "shop", Workload: "billing", State: "STALE", Peer: "10.0.0.1:1"})
	want := page(t, true, state)
	for _, pair := range [][2]string{{"shop/main", "eu/orders"}, {"eu/orders", "shop/audit"}, {"shop/audit", "shop/orders "}, {"shop/orders-canary", "shop/billing  "}, {"10.0.0.1:1", "10.0.0.8:41000"}} {
		if strings.Index(want, pair[0]) > strings.Index(want, pair[1]) {
			t.Errorf("%s comes after %s:\n%s", pair[0], pair[1], want)
		}
	}
	random := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		random.Shuffle(len(state.Objects), func(i, j int) { state.Objects[i], state.Objects[j] = state.Objects[j], state.Objects[i] })
		random.Shuffle(len(state.Sidecars), func(i, j int) { state.Sidecars[i], state.Sidecars[j] = state.Sidecars[j], state.Sidecars[i] })
		if got := page(t, true, state); got != want {
			t.Fatalf("in another order:\n%s\nwant:\n%s", got, want)
		}
	}
}

func TestObjectsHaveATotalOrder(t *testing.T) {
	t.Parallel()
	object := func(kind, namespace, name string) *adminv1.Object {
		return &adminv1.Object{Kind: kind, Namespace: namespace, Name: name}
	}
	order := []*adminv1.Object{
		object("EventUnknown", "a", "a"), object("EventBroker", "b", "z"), object("EventTopic", "a", "b"), object("EventTopic", "a", "c"), object("EventTopic", "b", "a"),
		object("EventRoute", "a", "a"), object("EventSubscription", "a", "a"), object("EventPolicy", "a", "a"),
	}
	for i, a := range order {
		for j, b := range order {
			if got := compareObjects(a, b); (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("%v compared with %v is %d", a, b, got)
			}
		}
	}
}

// Several streams of one id are said once, however many there are.
func TestStreamsOfOneSidecarAreToldOnce(t *testing.T) {
	t.Parallel()
	const warning = "several streams say that they are a: "
	for streams, want := range map[int]int{1: 0, 2: 1, 3: 1, 5: 1} {
		state := &adminv1.GetStatusResponse{Sidecars: []*adminv1.Sidecar{{Id: "b", Namespace: "shop"}}}
		for range streams {
			state.Sidecars = append(state.Sidecars, &adminv1.Sidecar{Id: "a", Namespace: "shop"})
		}
		if got := strings.Count(page(t, false, state), warning); got != want {
			t.Errorf("%d streams are told %d times, want %d", streams, got, want)
		}
	}
}

func TestASidecarIsInSyncWithWhatExists(t *testing.T) {
	t.Parallel()
	resources := []*adminv1.SidecarResource{
		{TypeUrl: xds.TypeListener, Name: "topic/shop/a", State: "ACKED"}, {TypeUrl: xds.TypeListener, Name: "topic/shop/b", State: "DOES_NOT_EXIST"},
		{TypeUrl: xds.TypeListener, Name: "topic/shop/c", State: "SENT"}, {TypeUrl: xds.TypeRoute, Name: "topic/shop/a", State: "ACKED"},
	}
	s := &adminv1.Sidecar{Id: "a", Namespace: "shop", Workload: "w", State: "STALE", ConnectedFor: durationpb.New(time.Minute), Resources: resources}
	text := page(t, false, &adminv1.GetStatusResponse{Sidecars: []*adminv1.Sidecar{s}})
	if !strings.Contains(text, "a        shop/w    STALE  2/3    1m\n") {
		t.Errorf("what does not exist counts:\n%s", text)
	}
	if got := byKind(s); got["Topic"].String() != "1/2" || got["Route"].String() != "1/1" || got["Broker"].String() != "-" {
		t.Errorf("by kind: %v", got)
	}
	var out strings.Builder
	if err := (&statusPage{now: clitest.Loaded}).writeSidecars(&out, []*adminv1.Sidecar{{Id: "new", State: "NOT_SENT"}, s}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"sidecar new of / is NOT_SENT\nconnected for 0s from -, version -, labels -\n\nnothing was sent to it\n\nsidecar a of shop/w is STALE\n", "Topic  shop/b  DOES_NOT_EXIST  -      -      -\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, out.String())
		}
	}
}

func TestKindsMayBeWrittenShort(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "topic": "EventTopic", "Topic": "EventTopic", "EventTopic": "EventTopic", "EVENTTOPIC": "EventTopic", "policy": "EventPolicy",
	} {
		if got, err := statusKind(text); err != nil || got != want {
			t.Errorf("%q is %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"topics", "event", "Event", " topic", "EventEventTopic"} {
		if got, err := statusKind(text); err == nil {
			t.Errorf("%q is %q", text, got)
		}
	}
}

// refusing refuses every write.
type refusing struct{}

func (refusing) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestWhatCannotBeWrittenIsAFailure(t *testing.T) {
	t.Parallel()
	address := clitest.Serve(t, (&clitest.ControlPlane{State: clitest.Troubled()}).Register)
	for _, args := range [][]string{{}, {"-o", "wide"}, {"-o", "json"}, {"billing"}} {
		r := warren.Call(t, clitest.Invocation{Out: refusing{}}, append([]string{"status", "--control-plane", address}, args...)...)
		if r.Code != cli.ExitFailure || !strings.Contains(r.Err, "write output: broken pipe") {
			t.Errorf("status %q: %+v", args, r)
		}
	}
}
