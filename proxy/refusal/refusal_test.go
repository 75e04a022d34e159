package refusal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/refusal"
)

func TestEveryKindOfBrokerErrorHasAClassAndKeepsItsOutcome(t *testing.T) {
	t.Parallel()
	for kind := broker.Unavailable; kind <= broker.Invalid; kind++ {
		for _, outcome := range []broker.Outcome{broker.NotSent, broker.Unknown, broker.Failed} {
			e := refusal.Of(refusal.FromBroker(fmt.Errorf("wrapped: %w", &broker.Error{Kind: kind, Outcome: outcome, Op: "publish"})))
			if e == nil || e.Class == refusal.Internal || e.Reason == "" || e.Outcome != outcome {
				t.Errorf("%v, %v: %+v", kind, outcome, e)
			}
		}
	}
}

func TestWhatADriverDidNotClassify(t *testing.T) {
	t.Parallel()
	if refusal.FromBroker(nil) != nil || refusal.Of(nil) != nil || refusal.Reason(errors.New("x")) != "" {
		t.Error("no refusal became one")
	}
	already := refusal.Later(refusal.Draining, "bye")
	if !errors.Is(refusal.FromBroker(already), already) {
		t.Error("a refusal was wrapped again")
	}
	if e := refusal.Of(refusal.FromBroker(context.DeadlineExceeded)); e.Class != refusal.Deadline || e.Outcome != broker.Unknown {
		t.Errorf("a deadline became %+v", e)
	}
	secret := refusal.FromBroker(errors.New("a secret of the inside"))
	if e := refusal.Of(secret); e.Class != refusal.Internal || strings.Contains(e.Error(), "secret") {
		t.Errorf("an error without a class became %+v", e)
	}
	if e := refusal.Of(refusal.FromBroker(&broker.Error{Kind: 99})); e.Class != refusal.Internal {
		t.Errorf("an unknown kind became %+v", e)
	}
}
