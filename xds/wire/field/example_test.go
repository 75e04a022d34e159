package field_test

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/warrenmesh/warren/xds/wire/field"
)

func ExampleDecodeDuration() {
	at := field.Path("route").Field("timeout")
	fmt.Println(field.DecodeDuration(at, durationpb.New(time.Second), time.Millisecond))
	fmt.Println(field.DecodeDuration(at, durationpb.New(-time.Second), time.Millisecond))
	// Output:
	// 1s <nil>
	// 0s route.timeout: -1s is less than 1ms
}
