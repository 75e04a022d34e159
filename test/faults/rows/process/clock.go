package process

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/rig"
)

var clockRows = []rig.Scenario{
	{Row: 27, Name: "clock-jumps", Fault: "The wall clock of the sidecars jumps by +1 h, then to -1 h, then back", Nodes: 1, Patience: 15 * time.Minute, Run: clockJumps},
}

// The test cannot change the machine's clock. It builds the sidecars with a package
// time whose wall clock jumps by a schedule. The environment gives the schedule, as
// seconds since the start and the offset from then on. The monotonic clock does not
// jump, as on a real machine.
const (
	clockVariable = "WARREN_FAULTS_CLOCK"
	clockSource   = `
var skews []struct{ from, offset int64 }

func init() {
	text, _ := syscall.Getenv("` + clockVariable + `")
	var numbers [2]int64
	n, sign := 0, int64(1)
	for _, c := range text + "," {
		switch {
		case c == '-':
			sign = -1
		case c == ':':
			numbers[0] *= sign
			n, sign = 1, 1
		case c == ',':
			numbers[1] *= sign
			if n == 1 {
				skews = append(skews, struct{ from, offset int64 }{numbers[0] * 1e9, numbers[1]})
			}
			n, sign, numbers = 0, 1, [2]int64{}
		default:
			numbers[n] = numbers[n]*10 + int64(c-'0')
		}
	}
}

func skew(mono int64) (offset int64) {
	for _, s := range skews {
		if mono-startNano >= s.from {
			offset = s.offset
		}
	}
	return offset
}
`
)

// overlay writes the files that make go build use that package time.
func overlay(dir string) (path string, err error) {
	out, err := exec.Command("go", "env", "GOROOT").Output() //nolint:noctx // it takes no time
	if err != nil {
		return "", fmt.Errorf("find Go's sources: %w", err)
	}
	original := filepath.Join(strings.TrimSpace(string(out)), "src/time/time.go")
	source, err := os.ReadFile(original)
	if err != nil {
		return "", fmt.Errorf("read package time: %w", err)
	}
	const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if !bytes.Contains(source, []byte(now)) {
		return "", fmt.Errorf("package time in %s is not as it was: the clock cannot be moved", original)
	}
	changed := strings.Replace(string(source), now, now+"\tsec += skew(mono)\n", 1)
	changed = strings.Replace(changed, "import (\n", "import (\n\t\"syscall\"\n", 1) + clockSource
	moved, path := filepath.Join(dir, "time.go"), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]map[string]string{"Replace": {original: moved}})
	if err == nil {
		err = os.WriteFile(moved, []byte(changed), 0o600)
	}
	if err == nil {
		err = os.WriteFile(path, list, 0o600)
	}
	return path, err
}

// clockJumps: timeouts use the monotonic clock. Nothing times out early or late.
func clockJumps(w *rig.World) check.Expect {
	dir, err := filepath.Abs(w.Dir)
	if err != nil {
		w.Fatal(err)
	}
	flag, err := overlay(dir)
	if err != nil {
		w.Fatal(err)
	}
	w.Report("building sidecars whose clock can jump")
	if w.Programs, err = w.Programs.OtherSidecar(w.Context(), "faults-clock", "-overlay="+flag); err != nil {
		w.Fatal(err)
	}
	w.Start(rig.Setup{Env: []string{clockVariable + "=20:3600,25:-3600,30:0"}})
	for _, offset := range []time.Duration{time.Hour, -time.Hour, 0} {
		d := w.Disturb(fmt.Sprintf("clock at %v", offset), func() string {
			w.Await("the clock jumps", time.Minute, func() bool { return clock(w, w.Checkout) == offset && clock(w, w.Billing) == offset })
			return fmt.Sprintf("the sidecars say that it is %v", date(w, w.Checkout).Format(time.DateTime))
		})
		d.Heal(nil)
		w.Keep(time.Second)
	}
	w.AwaitOK(200)
	w.Finish()
	w.AllOK("the jumps show")
	return w.Expect()
}

// clock is the difference between a sidecar's clock and ours, rounded to a minute.
func clock(w *rig.World, s *rig.Service) time.Duration {
	return time.Until(date(w, s)).Round(time.Minute)
}

// date is the time of day that a sidecar sends with every HTTP answer.
func date(w *rig.World, s *rig.Service) time.Time {
	w.Helper()
	res, err := s.Get(w.Context(), "/memory")
	if err != nil {
		w.Fatal(err)
	}
	_ = res.Body.Close()
	date, err := http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		w.Fatal(err)
	}
	return date
}
