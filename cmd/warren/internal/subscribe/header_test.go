package subscribe

import (
	"encoding/json"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli/clitest"
)

func TestHeadersAreShownAsPeopleWriteThem(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]*eventsv1.HeaderValue{
		"acme":                 {Value: &eventsv1.HeaderValue_StringValue{StringValue: "acme"}},
		"true":                 {Value: &eventsv1.HeaderValue_BoolValue{BoolValue: true}},
		"false":                {Value: &eventsv1.HeaderValue_BoolValue{}},
		"-9223372036854775808": {Value: &eventsv1.HeaderValue_IntValue{IntValue: -1 << 63}},
		"0":                    {Value: &eventsv1.HeaderValue_IntValue{}},
		"0.1":                  {Value: &eventsv1.HeaderValue_DoubleValue{DoubleValue: 0.1}},
		"1e+100":               {Value: &eventsv1.HeaderValue_DoubleValue{DoubleValue: 1e100}},
		"2026-11-23T10:00:00Z": {Value: &eventsv1.HeaderValue_TimestampValue{TimestampValue: timestamppb.New(time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC))}},
	} {
		if got := headerText(v); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
	for _, v := range []*eventsv1.HeaderValue{{}, nil, {Value: &eventsv1.HeaderValue_BytesValue{BytesValue: []byte{0xff}}}} {
		if got := headerText(v); !json.Valid([]byte(got)) {
			t.Errorf("%v is %q, want JSON", v, got)
		}
	}
	if got := headerText(&eventsv1.HeaderValue{Value: &eventsv1.HeaderValue_TimestampValue{}}); got != "1970-01-01T00:00:00Z" {
		t.Errorf("a time that is missing is %q", got)
	}
}

func TestSubscribeAsksForNoMoreThanItWants(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args        []string
		credit, max uint32
	}{
		"a count below the window": {[]string{"-n", "2"}, 2, 2},
		"a window below the count": {[]string{"-n", "3", "--window", "1"}, 1, 1},
		"the window alone":         {[]string{"-n", "3", "--window", "3"}, 3, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := &clitest.Sidecar{Deliveries: orders()}
			r := warren.Run(t, append([]string{"subscribe", "billing", "-o", "raw", "--sidecar", clitest.Serve(t, fake.Register)}, test.args...)...)
			fake.Mu.Lock()
			defer fake.Mu.Unlock()
			if r.Code != cli.ExitOK || fake.Init.GetInitialCredit() != test.credit || fake.Init.GetMaxOutstandingMessages() != test.max || !fake.Init.GetSettleResults() {
				t.Errorf("%+v, asked for %v", r, fake.Init)
			}
		})
	}
}
