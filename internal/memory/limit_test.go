package memory

import (
	"math"
	"runtime/debug"
	"testing"
)

// The limit belongs to the whole process, so this test is alone while it changes it.
func TestALimitThatIsSetStaysAndCounts(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	const own = 1 << 40 // far above what the test uses
	debug.SetMemoryLimit(own)
	if SetFromCgroup(); debug.SetMemoryLimit(-1) != own {
		t.Errorf("a limit that was set became %d", debug.SetMemoryLimit(-1))
	}
	group := cgroup("/proc/self/cgroup", "/sys/fs/cgroup")
	want := int64(own)
	if group > 0 && group < own {
		want = group
	}
	if got := Limit(); got != want {
		t.Errorf("the limit is %d, want %d", got, want)
	}
	debug.SetMemoryLimit(math.MaxInt64)
	if got := Limit(); got != group {
		t.Errorf("without a limit of its own it is %d, want the cgroup's %d", got, group)
	}
	SetFromCgroup()
	got := debug.SetMemoryLimit(-1)
	if group == 0 && got != math.MaxInt64 {
		t.Errorf("without any limit the collector has %d", got)
	}
	if group > 0 && (got >= group || got < group/2) {
		t.Errorf("of %d the collector has %d", group, got)
	}
}
