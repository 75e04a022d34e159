package toxic

import (
	"sync/atomic"

	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
)

// meter passes everything and counts it.
type meter struct {
	passed      atomic.Int64
	connections atomic.Int64
}

// NewState implements toxics.StatefulToxic: it is called once for each connection.
func (m *meter) NewState() any {
	m.connections.Add(1)
	return nil
}

// Pipe implements toxics.Toxic.
func (m *meter) Pipe(stub *toxics.ToxicStub) {
	for {
		select {
		case <-stub.Interrupt:
			return
		case c := <-stub.Input:
			if c == nil {
				stub.Close()
				return
			}
			m.passed.Add(int64(len(c.Data)))
			stub.Output <- c
		}
	}
}

// hole swallows everything and counts it: the connection stays open, and dead.
type hole struct {
	swallowed atomic.Int64
}

// Pipe implements toxics.Toxic.
func (h *hole) Pipe(stub *toxics.ToxicStub) {
	for {
		select {
		case <-stub.Interrupt:
			return
		case c := <-stub.Input:
			if c == nil {
				stub.Close()
				return
			}
			h.swallowed.Add(int64(len(c.Data)))
		}
	}
}

// Cleanup implements toxics.CleanupToxic: a stream that has lost bytes cannot go on.
func (h *hole) Cleanup(stub *toxics.ToxicStub) { stub.Close() }

// scissors pass so many bytes of each connection and then close it, in the middle
// of a frame as a rule.
type scissors struct {
	After int64 `json:"after"`

	cut atomic.Int64 // connections
}

// cutState is how much one connection may still pass.
type cutState struct{ left int64 }

// NewState implements toxics.StatefulToxic.
func (s *scissors) NewState() any { return &cutState{left: s.After} }

// Pipe implements toxics.Toxic.
func (s *scissors) Pipe(stub *toxics.ToxicStub) {
	state := stub.State.(*cutState)
	for {
		select {
		case <-stub.Interrupt:
			return
		case c := <-stub.Input:
			if c == nil {
				stub.Close()
				return
			}
			n := min(state.left, int64(len(c.Data)))
			state.left -= n
			stub.Output <- &stream.StreamChunk{Data: c.Data[:n], Timestamp: c.Timestamp}
			if state.left == 0 {
				s.cut.Add(1)
				stub.Close()
				return
			}
		}
	}
}

// The names by which toxiproxy makes them.
const (
	meterType    = "warren_meter"
	holeType     = "warren_hole"
	scissorsType = "warren_scissors"
)

// register is called once, before the first link.
func register() {
	toxics.Register(meterType, new(meter))
	toxics.Register(holeType, new(hole))
	toxics.Register(scissorsType, new(scissors))
}
