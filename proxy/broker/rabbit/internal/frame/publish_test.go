package frame

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

func TestAFurtherHeaderIsTheLastOfThePublish(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 8))
	text := func() string { return strings.Repeat("t", r.IntN(3)*r.IntN(100)) }
	for range 500 {
		p := message.Properties{ContentType: text(), ContentEncoding: text(), MessageID: text(), Type: text(), DeliveryMode: uint8(r.IntN(3))}
		for range r.IntN(4) {
			p.Headers.AddText("h"+text(), text())
		}
		body := bytes.Repeat([]byte("b"), r.IntN(3)*r.IntN(300))
		encoded, _ := AppendPublish(nil, "x", text(), true, &p, body, 4096)
		before := "what is there before"
		got := AppendWithHeader([]byte(before), encoded, message.Field{Name: "further", Kind: message.KindText, Raw: "value"})
		want := []byte(before)
		key := string(encoded[frameHead+4+2+2+1:][:encoded[frameHead+4+2+2]])
		p.Headers.AddText("further", "value")
		if want, _ = AppendPublish(want, "x", key, true, &p, body, 4096); !bytes.Equal(got, want) {
			t.Fatalf("got  %q\nwant %q", got, want)
		}
	}
}
