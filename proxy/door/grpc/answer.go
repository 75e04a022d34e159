package grpc

import (
	"sync"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/warrenmesh/warren/proxy/event/eventpb"
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
	room := buffers.Get(size)
	b, err := v.appendTo((*room)[:0])
	if err != nil {
		buffers.Put(room)
		return nil, err
	}
	*room = b
	return mem.BufferSlice{mem.NewBuffer(room, &buffers)}, nil
}

// buffers are for messages that are read or written. gRPC's own pool clears each before it is used.
var buffers pool

// pool implements mem.BufferPool.
type pool struct{ free sync.Pool }

// maxPooled is the most bytes of a buffer that is kept: twice what is gathered into a message.
const maxPooled = 512 << 10

// Get implements mem.BufferPool.
func (p *pool) Get(length int) *[]byte {
	b, ok := p.free.Get().(*[]byte)
	if !ok || cap(*b) < length {
		b = new([]byte)
		*b = make([]byte, length)
	}
	*b = (*b)[:length]
	return b
}

// Put implements mem.BufferPool.
func (p *pool) Put(b *[]byte) {
	if cap(*b) <= maxPooled {
		p.free.Put(b)
	}
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
	b = eventpb.AppendString(b, 1, r.EventID)
	b = eventpb.AppendString(b, 2, r.Route)
	b = eventpb.AppendString(b, 3, r.Topic)
	return eventpb.AppendVarint(b, 4, uint64(r.Attempts)), nil
}

func (r streamResponse) size() int {
	n := aroundResults
	for i := range r {
		n += (*publishResponse)(&r[i].Result.Receipt).size()
	}
	return n
}

func (r streamResponse) appendTo(b []byte) ([]byte, error) {
	for i := range r {
		var err error
		var one int
		b, one = eventpb.Begin(b, 1)
		if b, err = appendResult(b, &r[i]); err != nil {
			return b, err
		}
		b = eventpb.End(b, one)
	}
	return eventpb.AppendVarint(b, 2, publish.Window), nil
}

// appendResult appends the fields of a PublishStreamResult.
func appendResult(b []byte, r *publish.StreamResult) ([]byte, error) {
	b = eventpb.AppendVarint(b, 1, r.ID)
	b, outcome := eventpb.Begin(b, 2)
	var err error
	var at int
	if r.Result.Err == nil {
		b, at = eventpb.Begin(b, 1)
		b, err = (*publishResponse)(&r.Result.Receipt).appendTo(b)
	} else {
		b, at = eventpb.Begin(b, 2)
		b, err = proto.MarshalOptions{}.MarshalAppend(b, statusOf(r.Result.Err))
	}
	if err != nil {
		return b, err
	}
	return eventpb.End(eventpb.End(b, at), outcome), nil
}
