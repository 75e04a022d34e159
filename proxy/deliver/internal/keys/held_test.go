package keys_test

import (
	"fmt"
	"testing"

	"github.com/warrenmesh/warren/proxy/deliver/internal/keys"
)

func TestHeldKeysAreBounded(t *testing.T) {
	t.Parallel()
	var h keys.Held
	for n := range keys.MaxHeld {
		if !h.Add(fmt.Sprint(n)) {
			t.Fatalf("key %d is not held", n)
		}
	}
	if h.Add("one more") || h.Has("one more") {
		t.Error("a key beyond the bound is held")
	}
	if !h.Add("7") {
		t.Error("a key that is held is refused")
	}
	if n := h.Release(nil); n != keys.MaxHeld || h.Has("7") {
		t.Errorf("released %d", n)
	}
}
