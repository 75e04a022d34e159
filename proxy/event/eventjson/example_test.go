package eventjson_test

import (
	"fmt"

	"github.com/warrenmesh/warren/proxy/event/eventjson"
)

func ExampleDecode() {
	e, err := eventjson.Decode([]byte(`{"specversion":"1.0","id":"17","source":"/shop","type":"com.shop.order.placed","data":{"total":42}}`))
	if err != nil {
		panic(err)
	}
	fmt.Println(e.ID, e.Type, string(e.Data))
	_, err = eventjson.Decode([]byte(`{"specversion":"1.0","source":"/shop","type":"com.shop.order.placed"}`))
	fmt.Println(err != nil) // the id is missing
	// Output:
	// 17 com.shop.order.placed {"total":42}
	// true
}
