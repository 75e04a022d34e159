package coding_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"

	"github.com/warrenmesh/warren/proxy/event/coding"
)

func ExampleDecode() {
	var body bytes.Buffer
	z := gzip.NewWriter(&body)
	_, _ = z.Write([]byte("order 17"))
	_ = z.Close()
	data, err := coding.Decode("gzip", body.Bytes(), 1<<20)
	fmt.Println(string(data), err)
	_, err = coding.Decode("utf-8", []byte("order 17"), 1<<20)
	fmt.Println(errors.Is(err, coding.ErrUnknown))
	// Output:
	// order 17 <nil>
	// true
}
