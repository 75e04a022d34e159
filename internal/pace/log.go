package pace

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// Log writes a message at most burst times at once and then once an interval. The
// next line that is written says how many were left out.
type Log struct {
	logger *slog.Logger
	bucket *Bucket
	left   atomic.Uint64 // not written since the last line
}

// keyLeftOut says how many lines of this kind were not written since the last one.
const keyLeftOut = "left_out"

// NewLog builds a Log on logger.
func NewLog(logger *slog.Logger, burst int, interval time.Duration) *Log {
	return &Log{logger: logger, bucket: NewBucket(1/interval.Seconds(), float64(burst))}
}

// Warn logs at level Warn, or counts the line as left out.
func (l *Log) Warn(message string, args ...any) {
	if !l.bucket.TryTake(time.Now()) {
		l.left.Add(1)
		return
	}
	if left := l.left.Swap(0); left > 0 {
		args = append(args, keyLeftOut, left)
	}
	l.logger.Log(context.Background(), slog.LevelWarn, message, args...) //nolint:sloglint // the caller's message is a constant
}
