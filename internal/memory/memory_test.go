package memory

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTheSmallestLimitOfTheCgroupsCounts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		process string
		files   map[string]string
		want    int64
	}{
		"v2 in a container":       {"0::/\n", map[string]string{"memory.max": "134217728\n"}, 128 << 20},
		"v2 on a host":            {"0::/system.slice/warren.service\n", map[string]string{"system.slice/warren.service/memory.max": "max\n", "system.slice/memory.max": "1000000\n"}, 1_000_000},
		"v2 without a limit":      {"0::/\n", map[string]string{"memory.max": "max\n"}, 0},
		"v1 in a container":       {"5:cpu,cpuacct:/\n4:memory:/docker/abc\n", map[string]string{"memory/memory.limit_in_bytes": "268435456\n"}, 256 << 20},
		"v1 without a limit":      {"4:memory:/\n", map[string]string{"memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
		"v1 and v2 side by side":  {"4:memory:/\n0::/\n", map[string]string{"memory/memory.limit_in_bytes": "500\n", "memory.max": "400"}, 400},
		"another's controller":    {"4:cpu:/\n", map[string]string{"memory/memory.limit_in_bytes": "500\n"}, 0},
		"nonsense":                {"what\n::\n0::\n", map[string]string{"memory.max": "-5"}, 0},
		"a path that leads above": {"0::/../../x\n", map[string]string{"memory.max": "700"}, 700},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write := func(path, content string) string {
				path = filepath.Join(dir, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			for path, content := range test.files {
				write(filepath.Join("mount", path), content)
			}
			if got := cgroup(write("process", test.process), filepath.Join(dir, "mount")); got != test.want {
				t.Errorf("limit %d, want %d", got, test.want)
			}
		})
	}
	if got := cgroup(filepath.Join(t.TempDir(), "none"), "/"); got != 0 {
		t.Errorf("without a /proc the limit is %d, want none", got)
	}
}

func TestShare(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ limit, want int64 }{
		"no limit":      {0, 256},
		"a part":        {400, 100},
		"never too few": {8, 16},
		"never more":    {1 << 40, 256},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Share(test.limit, 4, 16, 256); got != test.want {
				t.Errorf("share of %d is %d, want %d", test.limit, got, test.want)
			}
		})
	}
}
