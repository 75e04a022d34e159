package client

import (
	"errors"
	"strings"
	"testing"
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

func TestWhatAHandlerReturnsIsAnOutcome(t *testing.T) {
	t.Parallel()
	broken := errors.New("no such customer")
	for _, tt := range []struct {
		name    string
		err     error
		outcome eventsv1.Outcome
		after   time.Duration
		reason  string
	}{
		{"nil acknowledges", nil, eventsv1.Outcome_OUTCOME_ACK, 0, ""},
		{"an error makes it come again", broken, eventsv1.Outcome_OUTCOME_RETRY, 0, "no such customer"},
		{"an error may say when", RetryAfter(time.Minute, broken), eventsv1.Outcome_OUTCOME_RETRY, time.Minute, "no such customer"},
		{"a rejection dead-letters", Reject(broken), eventsv1.Outcome_OUTCOME_DEAD_LETTER, 0, "no such customer"},
		{"a rejection of nothing acknowledges", Reject(nil), eventsv1.Outcome_OUTCOME_ACK, 0, ""},
		{"a delay of nothing acknowledges", RetryAfter(time.Minute, nil), eventsv1.Outcome_OUTCOME_ACK, 0, ""},
		{"a reason is cut between characters", errors.New(strings.Repeat("ü", 150)), eventsv1.Outcome_OUTCOME_RETRY, 0, strings.Repeat("ü", 100)},
		{"a reason is UTF-8", errors.New("a\xff" + strings.Repeat("b", 198) + "ü"), eventsv1.Outcome_OUTCOME_RETRY, 0, "a?" + strings.Repeat("b", 198)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := settlementOf("t", tt.err)
			if s.GetToken() != "t" || s.GetOutcome() != tt.outcome || s.GetRetryAfter().AsDuration() != tt.after || s.GetReason() != tt.reason {
				t.Errorf("settlement %v", s)
			}
		})
	}
	if err := Reject(broken); !errors.Is(err, broken) {
		t.Errorf("%v does not wrap its cause", err)
	}
}
