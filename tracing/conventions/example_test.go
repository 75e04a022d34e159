package conventions_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/warrenmesh/warren/tracing/conventions"
)

type noStock struct{}

func (noStock) Error() string     { return "3 of 4 are left" }
func (noStock) ErrorType() string { return "no-stock" }

func ExampleErrorType() {
	for _, err := range []error{
		fmt.Errorf("reserve: %w", noStock{}),
		fmt.Errorf("reserve: %w", context.DeadlineExceeded),
		errors.New("reserve: row 7 is locked"),
	} {
		fmt.Println(conventions.ErrorType(err, conventions.ErrorOther))
	}
	// Output:
	// no-stock
	// timeout
	// _OTHER
}
