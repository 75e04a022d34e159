package rawamqp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"
)

// Taking says what happens to the messages that Take reads.
type Taking bool

// Keep puts them back in their order; Remove removes them from the queue.
const (
	Keep   Taking = false
	Remove Taking = true
)

// still is how long no message may arrive before the queue counts as empty.
const still = 500 * time.Millisecond

// Got is a message from a queue.
type Got struct {
	Message
	Exchange, Key string
	Redelivered   bool
	// Broken is why its properties could not be read.
	Broken error
}

// Take reads the ready messages of a queue on a connection of its own. It consumes
// instead of using basic.get, which a queue with a single active consumer does not
// answer.
func Take(ctx context.Context, address, queue string, taking Taking) ([]Got, error) {
	c, err := Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	bits := "\x00"
	if taking == Remove {
		bits = "\x02" // no-ack
	}
	if err := c.send(1, basicConsume, "\x00\x00"+short(queue)+short("")+bits+"\x00\x00\x00\x00"); err != nil {
		return nil, err
	}
	if _, err := c.await(basicConsumeOK); err != nil {
		return nil, fmt.Errorf("read queue %s: %w", queue, err)
	}
	var out []Got
	for {
		got, err := c.deliver()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return out, nil
		}
		if err != nil {
			return out, fmt.Errorf("read queue %s: %w", queue, err)
		}
		out = append(out, got)
	}
}

// deliver reads one delivery.
func (c *Conn) deliver() (g Got, err error) {
	kind, payload, err := c.frame(still)
	for err == nil && kind == frameBeat {
		kind, payload, err = c.frame(still)
	}
	if err != nil {
		return g, err
	}
	if kind != frameMethod || binary.BigEndian.Uint32(payload) != basicDeliver {
		return g, fmt.Errorf("a frame of kind %d, not a delivery", kind)
	}
	s := &scanner{rest: string(payload[4:])}
	s.bytes(int(s.number(1))) // consumer tag
	s.number(8)
	g.Redelivered = s.number(1) != 0
	g.Exchange, g.Key = s.bytes(int(s.number(1))), s.bytes(int(s.number(1)))
	if payload, err = c.content(frameHeader); err != nil {
		return g, err
	}
	size := binary.BigEndian.Uint64(payload[4:])
	g.Properties, g.Broken = parseProperties(payload[12:])
	for uint64(len(g.Body)) < size {
		if payload, err = c.content(frameBody); err != nil {
			return g, err
		}
		g.Body = append(g.Body, payload...)
	}
	return g, nil
}

// content reads a frame, which must have that kind.
func (c *Conn) content(want byte) ([]byte, error) {
	kind, payload, err := c.frame(0)
	if err == nil && kind != want {
		err = fmt.Errorf("a frame of kind %d, want %d", kind, want)
	}
	return payload, err
}
