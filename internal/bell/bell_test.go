package bell_test

import (
	"testing"

	"github.com/warrenmesh/warren/internal/bell"
)

func TestARingWakesAllWhoWaitAndNobodyWhoAsksLater(t *testing.T) {
	t.Parallel()
	var b bell.Bell
	b.Ring() // nobody waits
	first, second := b.Rung(), b.Rung()
	select {
	case <-first:
		t.Fatal("it rang before anybody asked")
	default:
	}
	b.Ring()
	<-first
	<-second
	select {
	case <-b.Rung():
		t.Error("a ring that is over wakes who asks now")
	default:
	}
}
