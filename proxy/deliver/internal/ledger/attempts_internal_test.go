package ledger

import (
	"fmt"
	"testing"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/event"
)

const (
	oneStream   = "one"
	otherStream = "other"
)

// back is a message that was handed out before, by a channel's tag-th delivery.
func back(id string, epoch, tag uint64, returned uint32) *broker.Delivery {
	return &broker.Delivery{
		Part: "q", Event: &event.Event{Source: "/shop", ID: id}, Attempt: 1, Returning: true, Returned: returned, Epoch: epoch, Tag: tag,
	}
}

func TestMessagesThatAreAlikeClaimAnAttemptEach(t *testing.T) {
	t.Parallel()
	var l Attempts
	now := time.Now()
	for tag := range uint64(3) {
		l.Crashed(oneStream, back("tick", 1, tag, 0), now)
	}
	for tag := range uint64(5) {
		d := back("tick", 2, tag, 1)
		l.Claim(otherStream, d, now)
		if want := map[bool]uint32{true: 2, false: 1}[tag < 3]; d.Attempt != want || d.Crashes != want-1 {
			t.Errorf("message %d has attempt %d and crashed %d times, want %d and %d", tag, d.Attempt, d.Crashes, want, want-1)
		}
	}
}

func TestAMessageThatWasNeverHandedOutClaimsNothing(t *testing.T) {
	t.Parallel()
	var l Attempts
	now := time.Now()
	l.Crashed(oneStream, back("tick", 1, 1, 0), now)
	twin := back("tick", 2, 1, 0)
	twin.Returning = false
	twin.Redelivered = true // published twice
	if l.Claim(oneStream, twin, now); twin.Attempt != 1 {
		t.Errorf("its attempt is %d", twin.Attempt)
	}
}

func TestAnotherMessageWithTheSameIDClaimsNothing(t *testing.T) {
	t.Parallel()
	var l Attempts
	now := time.Now()
	first := back("a", 1, 1, 0)
	first.Raw = []byte("first")
	l.Crashed(oneStream, first, now)
	for what, change := range map[string]func(*broker.Delivery){
		"body":  func(d *broker.Delivery) { d.Raw = []byte("second") },
		"type":  func(d *broker.Delivery) { d.Event.Type = "other" },
		"topic": func(d *broker.Delivery) { d.Origin.Name = "other" },
		"queue": func(d *broker.Delivery) { d.Part = "other" },
	} {
		d := back("a", 2, 1, 1)
		d.Raw = first.Raw
		change(d)
		if l.Claim(oneStream, d, now); d.Attempt != 1 {
			t.Errorf("one of another %s has attempt %d", what, d.Attempt)
		}
	}
}

func TestAClaimGoesBackWithItsMessage(t *testing.T) {
	t.Parallel()
	for how, end := range map[string]func(*Attempts, *broker.Delivery){
		"its channel ends": func(l *Attempts, d *broker.Delivery) { l.Ended(oneStream, d.Part, d.Epoch) },
		"its stream ends":  func(l *Attempts, _ *broker.Delivery) { l.Gone(oneStream) },
		"it is given back": func(l *Attempts, d *broker.Delivery) { l.Unsettled(oneStream, d) },
		"ends and is counted": func(l *Attempts, d *broker.Delivery) {
			l.Ended(oneStream, d.Part, d.Epoch)
			l.Failed(oneStream, d, time.Now())
		},
	} {
		var l Attempts
		now := time.Now()
		l.Crashed(oneStream, back("a", 1, 1, 0), now)
		d := back("a", 2, 1, 1)
		l.Claim(oneStream, d, now)
		if again := back("a", 2, 2, 1); !l.Claim(oneStream, again, now).IsZero() || again.Attempt != 1 {
			t.Errorf("%s: two messages have one entry", how)
		}
		end(&l, d)
		again := back("a", 3, 1, 2)
		l.Claim(oneStream, again, now)
		if want := map[bool]uint32{true: 3, false: 2}[how == "ends and is counted"]; again.Attempt != want {
			t.Errorf("%s: then its attempt is %d, want %d", how, again.Attempt, want)
		}
		if l.Settled(oneStream, again); l.some.Load() || len(l.claimed)+len(l.free) != 0 {
			t.Errorf("%s: %d and %d entries are left", how, len(l.claimed), len(l.free))
		}
	}
}

func TestAWaitingEventKeepsItsTimeOverAnotherChannel(t *testing.T) {
	t.Parallel()
	var l Attempts
	now := time.Now()
	d := back("a", 1, 1, 0)
	d.Crashes = 1
	l.Attempted(oneStream, d, now, now.Add(time.Second))
	l.Ended(oneStream, "q", 1)
	again := back("a", 2, 1, 1)
	if due := l.Claim(otherStream, again, now); !due.Equal(now.Add(time.Second)) || again.Attempt != 2 || again.Crashes != 1 || !again.FirstFailure.Equal(now) {
		t.Errorf("due %v, delivery %+v", due, again)
	}
}

func TestAttemptsAreForgottenWithTimeAndNumber(t *testing.T) {
	t.Parallel()
	var l Attempts
	now := time.Now()
	l.Crashed(oneStream, back("0", 1, 0, 0), now)
	old := back("0", 2, 1, 1)
	if l.Claim(oneStream, old, now.Add(2*keptFor)); old.Attempt != 1 || l.some.Load() {
		t.Errorf("remembered for ever: attempt %d", old.Attempt)
	}
	for n := range maxEntries + 1 {
		l.Crashed(oneStream, back(fmt.Sprint(n), 1, uint64(n), 0), now)
	}
	oldest, next := back("0", 2, 1, 1), back("1", 2, 2, 1)
	l.Claim(oneStream, oldest, now)
	l.Claim(oneStream, next, now)
	if oldest.Attempt != 1 || next.Attempt != 2 {
		t.Errorf("attempts are %d and %d: the bound does not forget the oldest and only it", oldest.Attempt, next.Attempt)
	}
}
