// Package coding undoes content encodings: gzip, deflate and zstd, within a bound. It
// knows nothing of messages. Decode is safe for concurrent use.
//
//	data, err := coding.Decode("gzip", body, 1<<20)
package coding

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// ErrUnknown is the cause of an error of Decode for an encoding that is not known. It
// may be no compression at all: Celery writes utf-8 there.
var ErrUnknown = errors.New("unknown content encoding")

// Decode undoes a content_encoding: gzip (or x-gzip), deflate, zstd, in any case, or
// several of them, separated by commas, the last one applied last; identity and "" are
// none. deflate is zlib's format, as HTTP has it, or the bare one, which many write. The
// error says which encoding is unknown (ErrUnknown), that the body is broken or goes on after its
// end, or that it would become larger than most bytes; no more than that is ever made.
func Decode(encoding string, body []byte, most int) ([]byte, error) {
	steps := strings.Split(encoding, ",")
	if len(steps) > maxEncodings {
		return nil, fmt.Errorf("%w %q: want at most %d", ErrUnknown, encoding, maxEncodings)
	}
	for i := len(steps) - 1; i >= 0; i-- {
		name := strings.ToLower(strings.TrimSpace(steps[i]))
		if name == "" || name == "identity" {
			continue
		}
		open, ok := decoders[name]
		if !ok {
			return nil, fmt.Errorf("%w %q: want gzip, deflate or zstd", ErrUnknown, name)
		}
		var err error
		if body, err = expand(open, body, most); err != nil {
			return nil, fmt.Errorf("decode content encoding %s: %w", name, err)
		}
	}
	return body, nil
}

// maxEncodings bounds the work that one message can ask for.
const maxEncodings = 3

// decoders open a compressed body. done frees what they hold.
var decoders = map[string]func(body []byte) (r io.Reader, done func(), err error){
	"gzip":    openGzip,
	"x-gzip":  openGzip,
	"deflate": openDeflate,
	"zstd":    openZstd,
}

func openGzip(body []byte) (io.Reader, func(), error) {
	r, err := gzip.NewReader(bytes.NewReader(body))
	return r, func() {}, err
}

func openDeflate(body []byte) (io.Reader, func(), error) {
	in := bytes.NewReader(body)
	if r, err := zlib.NewReader(in); err == nil {
		return &whole{Reader: r, in: in}, func() {}, nil
	}
	in.Reset(body)
	return &whole{Reader: flate.NewReader(in), in: in}, func() {}, nil
}

// maxWindow bounds the memory that a zstd frame may ask for: what RFC 8878 says every
// decoder should take.
const maxWindow = 8 << 20

func openZstd(body []byte) (io.Reader, func(), error) {
	r, err := zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, nil, err
	}
	return r, r.Close, nil
}

// whole reports what is left of a body after its end; gzip and zstd read on by
// themselves, for they may have several members.
type whole struct {
	io.Reader
	in *bytes.Reader
}

func (w *whole) Read(b []byte) (int, error) {
	n, err := w.Reader.Read(b)
	if errors.Is(err, io.EOF) && w.in.Len() > 0 {
		return n, fmt.Errorf("%d bytes follow its end", w.in.Len())
	}
	return n, err
}

func expand(open func([]byte) (io.Reader, func(), error), body []byte, most int) ([]byte, error) {
	r, done, err := open(body)
	if err != nil {
		return nil, err
	}
	defer done()
	var out bytes.Buffer
	if n, err := io.Copy(&out, io.LimitReader(r, int64(most)+1)); err != nil {
		return nil, err
	} else if n > int64(most) {
		return nil, fmt.Errorf("becomes more than %d bytes", most)
	}
	return out.Bytes(), nil
}
