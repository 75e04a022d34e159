// Package message reads and writes AMQP 0-9-1 messages as they are on the wire:
// content properties, header tables and their values.
//
// amqp091-go decodes a header table into Go values, refuses what nests deeper than 32
// levels or has more than 8,192 elements, and then ends the connection. Here a table is
// split into its fields, by their lengths; a value is decoded when somebody asks for it.
// So no table costs more than one pass over its bytes, a value that nobody asks for
// cannot be wrong, and a copy of a message has every header in its own type, byte for
// byte.
//
//	p, err := message.ParseProperties(payload) // of a content header frame, after the body size
//	id, ok := p.Headers.Lookup("ce-id")
//	text, ok := id.Text()
//	buf = p.Append(buf)
//
// A Properties and its tables share one string and are read-only; they are safe for
// concurrent use. The grammar is that of RabbitMQ ("AMQP 0-9-1 Errata", section 3, with
// the octet x of its extensions), not that of the specification: 's' is a 16-bit
// integer, and so on.
package message
