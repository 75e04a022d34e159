package coding_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/warrenmesh/warren/proxy/event/coding"
)

func packed(t testing.TB, encoding, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch encoding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zlib":
		w = zlib.NewWriter(&b)
	case "deflate":
		w, err = flate.NewWriter(&b, flate.BestCompression)
	case "zstd":
		w, err = zstd.NewWriter(&b)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDecode(t *testing.T) {
	t.Parallel()
	const text = `{"total":5}`
	for name, test := range map[string]struct {
		encoding string
		body     []byte
		want     string // "error: " and a part of it, or the data
	}{
		"none":                    {"", []byte(text), text},
		"identity":                {"identity", []byte(text), text},
		"gzip":                    {"gzip", packed(t, "gzip", text), text},
		"gzip in capitals":        {" GZip ", packed(t, "gzip", text), text},
		"x-gzip":                  {"x-gzip", packed(t, "gzip", text), text},
		"gzip of two members":     {"gzip", append(packed(t, "gzip", text), packed(t, "gzip", "!")...), text + "!"},
		"deflate as zlib":         {"deflate", packed(t, "zlib", text), text},
		"deflate alone":           {"deflate", packed(t, "deflate", text), text},
		"zstd":                    {"zstd", packed(t, "zstd", text), text},
		"zstd of two frames":      {"zstd", append(packed(t, "zstd", text), packed(t, "zstd", "!")...), text + "!"},
		"two, the last one last":  {"zstd, gzip", packed(t, "gzip", string(packed(t, "zstd", text))), text},
		"empty data":              {"gzip", packed(t, "gzip", ""), ""},
		"an empty body in zstd":   {"zstd", nil, ""},
		"an empty body in gzip":   {"gzip", nil, "error: gzip"},
		"what is no gzip":         {"gzip", []byte(text), "error: gzip"},
		"gzip cut short":          {"gzip", packed(t, "gzip", text)[:20], "error: gzip"},
		"gzip with a tail":        {"gzip", append(packed(t, "gzip", text), "tail"...), "error: gzip"},
		"zlib with a tail":        {"deflate", append(packed(t, "zlib", text), "tail"...), "error: 4 bytes follow"},
		"zlib cut short":          {"deflate", packed(t, "zlib", text)[:10], "error: deflate"},
		"zstd cut short":          {"zstd", packed(t, "zstd", text)[:12], "error: zstd"},
		"what is no zstd":         {"zstd", []byte(text), "error: zstd"},
		"a large one":             {"gzip", packed(t, "gzip", strings.Repeat("x", 1000)), strings.Repeat("x", 1000)},
		"a bomb in gzip":          {"gzip", packed(t, "gzip", strings.Repeat("x", 1<<24)), "error: becomes more than 1000 bytes"},
		"a bomb in deflate":       {"deflate", packed(t, "zlib", strings.Repeat("x", 1<<24)), "error: becomes more than 1000 bytes"},
		"a bomb in zstd":          {"zstd", packed(t, "zstd", strings.Repeat("x", 1<<24)), "error: "},
		"a bomb within a bomb":    {"gzip,gzip", packed(t, "gzip", string(packed(t, "gzip", strings.Repeat("x", 1<<24)))), "error: becomes more than 1000 bytes"},
		"one byte too many":       {"gzip", packed(t, "gzip", strings.Repeat("x", 1001)), "error: becomes more than 1000 bytes"},
		"an unknown one":          {"br", []byte(text), "error: unknown content encoding"},
		"an unknown one of two":   {"br, gzip", packed(t, "gzip", text), "error: unknown content encoding"},
		"a chain without an end":  {strings.Repeat("gzip,", 100), []byte(text), "error: at most 3"},
		"utf-8, a common mistake": {"utf-8", []byte(text), "error: unknown content encoding"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := coding.Decode(test.encoding, test.body, 1000)
			if fault, ok := strings.CutPrefix(test.want, "error: "); ok {
				if err == nil || !strings.Contains(err.Error(), fault) {
					t.Errorf("Decode: %.50q, %v, want an error with %q", got, err, fault)
				}
				if strings.Contains(fault, "unknown") != errors.Is(err, coding.ErrUnknown) && !strings.Contains(fault, "at most") {
					t.Errorf("ErrUnknown is the cause of %v", err)
				}
				return
			}
			if err != nil || string(got) != test.want {
				t.Errorf("Decode: %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, encoding := range []string{"gzip", "zlib", "deflate", "zstd"} {
		f.Add(encoding, packed(f, encoding, strings.Repeat("text", 1000)))
	}
	f.Add("zstd,gzip,deflate", []byte{0x28, 0xb5, 0x2f, 0xfd})
	f.Fuzz(func(t *testing.T, encoding string, body []byte) {
		const most = 2000
		out, err := coding.Decode(encoding, body, most)
		if err != nil && out != nil {
			t.Errorf("%d bytes beside %v", len(out), err)
		}
		if err == nil && len(out) > most && !bytes.Equal(out, body) {
			t.Errorf("%d bytes, want at most %d", len(out), most)
		}
	})
}
