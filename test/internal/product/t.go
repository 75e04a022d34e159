package product

import "context"

// T is what this package needs of a test. *testing.T is one; a program that is no
// test brings its own, whose Fatal ends the calling goroutine.
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
