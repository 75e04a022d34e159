package foreign

import (
	"testing"
)

func TestEveryMessageHasATagOfItsOwn(t *testing.T) {
	t.Parallel()
	all, again, seen := All(), All(), map[string]bool{}
	for i, m := range all {
		if seen[m.Tag] || m.AppID != m.Tag || TagOf("/amqp/orders/"+m.AppID) != m.Tag {
			t.Errorf("message %d, %s, has tag %q and app id %q", i, m.Name, m.Tag, m.AppID)
		}
		seen[m.Tag] = true
		if b := again[i]; string(b.Encode()) != string(m.Encode()) {
			t.Errorf("%s is not the same every time", m.Name)
		}
		if len(m.Encode()) > 131072-8-14 {
			t.Errorf("%s does not fit a frame", m.Name)
		}
	}
	if len(all) < 100 {
		t.Errorf("%d messages", len(all))
	}
	kinds := map[string]bool{}
	for _, m := range all[:10] {
		kinds[m.Kind] = true
	}
	if len(kinds) != 10 {
		t.Errorf("the first ten are of %d families", len(kinds))
	}
}

func TestATagIsFoundInASource(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"/foreign-7": "foreign-7", "/amqp/orders/foreign-12": "foreign-12", "foreign-3/x": "foreign-3", "/faults": ""} {
		if got := TagOf(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
