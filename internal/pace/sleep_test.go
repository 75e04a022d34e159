package pace_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenmesh/warren/internal/pace"
)

func TestSleepEndsWithItsTimeOrItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second+time.Millisecond)
		defer cancel()
		for _, test := range []struct {
			d    time.Duration
			want bool
			took time.Duration
		}{{time.Second, true, time.Second}, {0, true, 0}, {time.Second, false, time.Millisecond}, {0, false, 0}, {-1, false, 0}} {
			begin := time.Now()
			if got := pace.Sleep(ctx, test.d); got != test.want || time.Since(begin) != test.took {
				t.Errorf("%s: %v after %s, want %v after %s", test.d, got, time.Since(begin), test.want, test.took)
			}
		}
	})
}
