package message_test

import (
	"testing"

	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

func TestTypesHaveTheirNamesOfAMQP(t *testing.T) {
	t.Parallel()
	for kind, want := range map[message.Kind]string{
		message.KindTable: "table", message.KindText: "long-string", message.KindInt32: "long-int", message.KindVoid: "void", 'z': "0x7a",
	} {
		if got := kind.String(); got != want {
			t.Errorf("%c is %q, want %q", byte(kind), got, want)
		}
	}
}
