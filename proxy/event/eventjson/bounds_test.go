package eventjson_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/event/eventjson"
)

// members is n of them, each by the given format of its number.
func members(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestAttributesAreBounded(t *testing.T) {
	t.Parallel()
	if e, err := eventjson.Decode([]byte(minimal(members(`,"a%d":""`, event.MaxAttributes)))); err != nil || len(e.Attrs) != event.MaxAttributes {
		t.Errorf("Decode of as many as are allowed: %v", err)
	}
	for name, more := range map[string]string{
		"one too many":    members(`,"a%d":1`, event.MaxAttributes+1),
		"80,000 of them":  members(`,"a%d":"x"`, 80_000),
		"80,000 nulls":    members(`,"a%d":null`, 80_000),
		"80,000 backward": members(`,"z%05d":true`, 80_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := []byte(minimal(more))
			began := time.Now()
			_, err := eventjson.Decode(in)
			if err == nil || !strings.Contains(err.Error(), "are more than 1000") {
				t.Errorf("Decode: %v, want a complaint about the number of attributes", err)
			}
			if took := time.Since(began); took > 5*time.Second { // quadratic time was minutes
				t.Errorf("Decode took %v", took)
			}
		})
	}
}

func TestDeepDataIsRefusedNotFatal(t *testing.T) {
	t.Parallel()
	const depth = 1_000_000
	_, err := eventjson.Decode([]byte(minimal(`,"data":` + strings.Repeat("[", depth) + strings.Repeat("]", depth))))
	if err == nil || !strings.Contains(err.Error(), "not JSON") {
		t.Errorf("Decode: %v", err)
	}
}
