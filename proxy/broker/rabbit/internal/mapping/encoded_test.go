package mapping_test

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"

	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

func zipped(t *testing.T, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestACompressedStructuredEventIsRead(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		encoding, want string
		body           []byte
	}{
		"gzip":            {"gzip", "datacontenttype=String:application/json data=[1]", zipped(t, members(`,"data":[1]`))},
		"a charset":       {"utf-8", "", []byte(members(""))},
		"what is unknown": {"br", `error: with content encoding "br"`, []byte{0x0b}},
		"what is not":     {"gzip", "error: decode content encoding gzip", []byte(members(""))},
		"a bomb":          {"gzip", "error: becomes more than 16777216 bytes", zipped(t, strings.Repeat(" ", 17<<20))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantEvent(t, &message.Message{Properties: message.Properties{ContentType: "application/cloudevents+json", ContentEncoding: test.encoding}, Body: test.body}, test.want)
		})
	}
}
