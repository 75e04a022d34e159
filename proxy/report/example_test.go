package report_test

import (
	"fmt"

	"github.com/warrenmesh/warren/proxy/report"
)

func ExampleUnable() {
	fmt.Println(report.Unable().Err)
	// Output: the broker cannot tell how much is in a queue
}
