package abuse

import "google.golang.org/grpc/mem"

// rawCodec sends bytes as they are.
type rawCodec struct{}

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	b, _ := v.([]byte)
	return mem.BufferSlice{mem.SliceBuffer(b)}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	if out, ok := v.(*[]byte); ok {
		*out = data.Materialize()
	}
	return nil
}

func (rawCodec) Name() string { return "proto" }
