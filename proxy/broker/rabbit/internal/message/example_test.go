package message_test

import (
	"fmt"

	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

func ExampleParseProperties() {
	var sent message.Properties
	sent.ContentType = "application/json"
	sent.Headers.AddText("region", "eu")
	got, err := message.ParseProperties(string(sent.Append(nil)))
	fmt.Println(got.ContentType, got.Headers.Text("region"), err)
	// Output: application/json eu <nil>
}
