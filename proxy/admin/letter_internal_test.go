package admin

import (
	"errors"
	"testing"

	"github.com/warrenmesh/warren/proxy/broker"
)

func TestADeadLetterThatIsNoEventIsShown(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		letter       broker.Delivery
		detail, data string
		bytes        uint64
	}{
		"with its body": {
			broker.Delivery{ID: "m-1", Malformed: errors.New("header \"deep\" is cut short"), Raw: []byte("body"), Size: 4, DeadLetter: &broker.DeadLetter{Reason: broker.ReasonSetAside}},
			"header \"deep\" is cut short", "bo", 4,
		},
		"with a detail of its own": {
			broker.Delivery{ID: "m-1", Malformed: errors.New("no event"), Raw: []byte("body"), Size: 4, DeadLetter: &broker.DeadLetter{Reason: broker.ReasonExpired, Detail: "too late"}},
			"too late", "bo", 4,
		},
		"whose body was left behind": {
			broker.Delivery{ID: "m-1", Malformed: errors.New("17 MiB"), Size: 17 << 20, DeadLetter: &broker.DeadLetter{Reason: broker.ReasonSetAside}},
			"17 MiB", "", 17 << 20,
		},
	} {
		got := letter(&test.letter, 2)
		if got.GetEventId() != "m-1" || got.GetDetail() != test.detail || string(got.GetData()) != test.data || got.GetDataBytes() != test.bytes {
			t.Errorf("%s: %v", name, got)
		}
		if detail := test.letter.DeadLetter.Detail; detail != "" && detail != "too late" {
			t.Errorf("%s: the letter itself was changed: %q", name, detail)
		}
	}
}
