package product

import "context"

// T is the part of testing.T that this package uses. A program that is no test has its
// own implementation, whose Fatal ends the calling goroutine.
type T interface {
	Helper()
	Context() context.Context
	Cleanup(f func())
	Failed() bool
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}
