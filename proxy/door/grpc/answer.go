package grpc

import (
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/warrenmesh/warren/proxy/publish"
)

// publishResponse is a PublishResponse.
type publishResponse publish.Receipt

// streamResponse is a PublishStreamResponse.
type streamResponse []publish.StreamResult

// appender is what an answer is written from.
type appender interface {
	// size is how many bytes appendTo appends, or more.
	size() int
	appendTo(b []byte) ([]byte, error)
}

// write writes v.
func (f frugal) write(v appender) (mem.BufferSlice, error) {
	size := v.size()
	if mem.IsBelowBufferPoolingThreshold(size) {
		b, err := v.appendTo(make([]byte, 0, size))
		return mem.BufferSlice{mem.SliceBuffer(b)}, err
	}
	pool := mem.DefaultBufferPool()
	room := pool.Get(size)
	b, err := v.appendTo((*room)[:0])
	if err != nil {
		pool.Put(room)
		return nil, err
	}
	*room = b
	return mem.BufferSlice{mem.NewBuffer(room, pool)}, nil
}

// Sizes of what surrounds text: the tags and lengths of a receipt's four fields and of the
// two messages around it, and a number.
const (
	aroundReceipt = 4*(1+2) + 2*(1+5) + 2*(1+10)
	aroundResults = 8
)

func (r *publishResponse) size() int {
	return aroundReceipt + len(r.EventID) + len(r.Route) + len(r.Topic)
}

func (r *publishResponse) appendTo(b []byte) ([]byte, error) {
	b = appendText(b, 1, r.EventID)
	b = appendText(b, 2, r.Route)
	b = appendText(b, 3, r.Topic)
	return appendNumber(b, 4, uint64(r.Attempts)), nil
}

func (r streamResponse) size() int {
	n := aroundResults
	for i := range r {
		n += (*publishResponse)(&r[i].Result.Receipt).size()
	}
	return n
}

func (r streamResponse) appendTo(b []byte) ([]byte, error) {
	var err error
	for i := range r {
		b = appendMessage(b, 1, func(b []byte) []byte {
			b = appendNumber(b, 1, r[i].ID)
			return appendMessage(b, 2, func(b []byte) []byte {
				if r[i].Result.Err == nil {
					return appendMessage(b, 1, func(b []byte) []byte {
						b, _ = (*publishResponse)(&r[i].Result.Receipt).appendTo(b) // never fails
						return b
					})
				}
				return appendMessage(b, 2, func(b []byte) []byte {
					out, failed := proto.MarshalOptions{}.MarshalAppend(b, statusOf(r[i].Result.Err))
					if failed != nil {
						err = failed
						return b
					}
					return out
				})
			})
		})
	}
	return appendNumber(b, 2, publish.Window), err
}

func appendText(b []byte, number protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), s)
}

func appendNumber(b []byte, number protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), v)
}

// appendMessage appends a field whose content fill appends.
func appendMessage(b []byte, number protowire.Number, fill func([]byte) []byte) []byte {
	b = protowire.AppendTag(b, number, protowire.BytesType)
	at := len(b)
	b = fill(append(b, 0))
	n := len(b) - at - 1
	size := protowire.SizeVarint(uint64(n)) //nolint:gosec // a length
	if size > 1 {
		b = append(b, make([]byte, size-1)...)
		copy(b[at+size:], b[at+1:at+1+n])
	}
	protowire.AppendVarint(b[at:at], uint64(n)) //nolint:gosec // a length
	return b
}
