package message_test

import (
	"testing"

	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

// What a message had is nowhere in the next one, and what was taken from it stays.
func TestAMessageThatIsUsedAgainIsEmpty(t *testing.T) {
	t.Parallel()
	sent := message.Properties{ContentType: "text/plain", MessageID: "1", Priority: 3}
	sent.Headers.AddText("a", "1")
	sent.Headers.AddText("b", "2")
	less := message.Properties{MessageID: "2"}
	less.Headers.AddText("c", "3")
	for range 100 {
		m := message.NewMessage()
		if m.MessageID != "" || m.Encoded != "" || m.Body != nil || m.Tag != 0 || len(m.Headers.Fields) != 0 {
			t.Fatalf("a new message has %+v", m)
		}
		m.Encoded, m.Body, m.Tag = string(sent.Append(nil)), []byte("body"), 7
		if err := m.Parse(m.Encoded); err != nil {
			t.Fatal(err)
		}
		text, body := m.Headers.Text("b"), m.Body
		if err := m.Parse(string(less.Append(nil))); err != nil {
			t.Fatal(err)
		}
		if m.ContentType != "" || m.Priority != 0 || m.MessageID != "2" || m.Headers.String() != "{c}" {
			t.Fatalf("read again it has %+v", m.Properties)
		}
		m.Free()
		if text != "2" || string(body) != "body" {
			t.Fatalf("what was taken is %q and %q", text, body)
		}
	}
}
