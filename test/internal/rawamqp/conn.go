package rawamqp

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"
)

// Refused is the reason for which the broker closed the channel or the connection.
type Refused struct {
	Code uint16
	Text string
}

// Error implements error.
func (r *Refused) Error() string { return fmt.Sprintf("refused by the broker: %d %s", r.Code, r.Text) }

// Conn is a connection with one channel, in confirm mode.
type Conn struct {
	conn     net.Conn
	in       *bufio.Reader
	out      *bufio.Writer
	frameMax int
}

const (
	frameMethod = 1
	frameHeader = 2
	frameBody   = 3
	frameBeat   = 8
	frameEnd    = 0xCE

	// patience bounds every wait for the broker.
	patience = 4 * time.Minute
)

// Methods, as class<<16 | method.
const (
	connectionStart   = 10<<16 | 10
	connectionStartOK = 10<<16 | 11
	connectionTune    = 10<<16 | 30
	connectionTuneOK  = 10<<16 | 31
	connectionOpen    = 10<<16 | 40
	connectionOpenOK  = 10<<16 | 41
	connectionClose   = 10<<16 | 50
	channelOpen       = 20<<16 | 10
	channelOpenOK     = 20<<16 | 11
	channelClose      = 20<<16 | 40
	confirmSelect     = 85<<16 | 10
	confirmSelectOK   = 85<<16 | 11
	basicConsume      = 60<<16 | 20
	basicConsumeOK    = 60<<16 | 21
	basicPublish      = 60<<16 | 40
	basicDeliver      = 60<<16 | 60
	basicAck          = 60<<16 | 80
	basicNack         = 60<<16 | 120
)

// Dial opens a connection to the broker and vhost of an amqp:// URL.
func Dial(ctx context.Context, address string) (*Conn, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("parse the broker's URL: %w", err)
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), "5672")
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, fmt.Errorf("dial the broker: %w", err)
	}
	c := &Conn{conn: conn, in: bufio.NewReader(conn), out: bufio.NewWriter(conn)}
	vhost := strings.TrimPrefix(u.Path, "/")
	if vhost == "" {
		vhost = "/"
	}
	if err := c.open(u.User, vhost); err != nil {
		c.Close()
		return nil, fmt.Errorf("open a connection to %s: %w", host, err)
	}
	return c, nil
}

func (c *Conn) open(user *url.Userinfo, vhost string) error {
	if _, err := c.conn.Write([]byte("AMQP\x00\x00\x09\x01")); err != nil {
		return err
	}
	if _, err := c.await(connectionStart); err != nil {
		return err
	}
	password, _ := user.Password()
	// With these capabilities the broker sends nacks, and a reason when it refuses the
	// login.
	capabilities := Table(Field{"capabilities", Table(Field{"authentication_failure_close", Bool(true)}, Field{"basic.nack", Bool(true)}, Field{"publisher_confirms", Bool(true)})})
	if err := c.send(0, connectionStartOK, string(capabilities[1:])+short("PLAIN")+string(Text("\x00" + user.Username() + "\x00" + password)[1:])+short("en_US")); err != nil {
		return err
	}
	tune, err := c.await(connectionTune)
	if err != nil {
		return err
	}
	c.frameMax = int(binary.BigEndian.Uint32(tune[2:]))
	if err := c.send(0, connectionTuneOK, string(tune[:6])+"\x00\x00"); err != nil { // without heartbeats
		return err
	}
	for _, step := range []struct {
		channel      uint16
		send, expect uint32
		arguments    string
	}{
		{0, connectionOpen, connectionOpenOK, short(vhost) + "\x00\x00"},
		{1, channelOpen, channelOpenOK, "\x00"},
		{1, confirmSelect, confirmSelectOK, "\x00"},
	} {
		if err := c.send(step.channel, step.send, step.arguments); err != nil {
			return err
		}
		if _, err := c.await(step.expect); err != nil {
			return err
		}
	}
	return nil
}

// Close closes the socket. Unacknowledged messages return to their queue.
func (c *Conn) Close() { _ = c.conn.Close() }

// Publish writes one message and waits for its confirm. The error is a *Refused when
// the broker refuses the message; the connection cannot be used any more then.
func (c *Conn) Publish(exchange, key string, m Message) error {
	head := string(binary.BigEndian.AppendUint16(nil, 60)) + "\x00\x00" + string(binary.BigEndian.AppendUint64(nil, uint64(len(m.Body)))) + string(m.Encode())
	if err := c.send(1, basicPublish, "\x00\x00"+short(exchange)+short(key)+"\x00"); err != nil {
		return err
	}
	if err := c.write(frameHeader, 1, head); err != nil {
		return err
	}
	for rest := m.Body; len(rest) > 0; {
		n := min(len(rest), c.frameMax-8)
		if err := c.write(frameBody, 1, string(rest[:n])); err != nil {
			return err
		}
		rest = rest[n:]
	}
	if err := c.out.Flush(); err != nil {
		return c.why(err)
	}
	_, err := c.await(basicAck)
	return err
}

// why prefers the broker's reason to the error of the closed socket.
func (c *Conn) why(err error) error {
	if _, said := c.await(basicAck); said != nil {
		return said
	}
	return err
}

func short(s string) string { return string([]byte{byte(len(s))}) + s }

func (c *Conn) send(channel uint16, method uint32, arguments string) error {
	if err := c.write(frameMethod, channel, string(binary.BigEndian.AppendUint32(nil, method))+arguments); err != nil {
		return err
	}
	if method == basicPublish {
		return nil // its content follows
	}
	return c.out.Flush()
}

func (c *Conn) write(kind byte, channel uint16, payload string) error {
	b := binary.BigEndian.AppendUint16([]byte{kind}, channel)
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload))) //nolint:gosec // the length of a frame fits
	b = append(append(b, payload...), frameEnd)
	if err := c.conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := c.out.Write(b)
	return err
}

// frame reads the next frame; a wait of zero means patience.
func (c *Conn) frame(wait time.Duration) (kind byte, payload []byte, err error) {
	if wait == 0 {
		wait = patience
	}
	if err := c.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return 0, nil, err
	}
	var head [7]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return 0, nil, err
	}
	payload = make([]byte, int(binary.BigEndian.Uint32(head[3:]))+1)
	if _, err := io.ReadFull(c.in, payload); err != nil {
		return 0, nil, err
	}
	return head[0], payload[:len(payload)-1], nil
}

// await reads frames until the method arrives, and returns its arguments.
func (c *Conn) await(method uint32) ([]byte, error) {
	for {
		kind, payload, err := c.frame(0)
		if err != nil {
			return nil, err
		}
		if kind != frameMethod {
			continue
		}
		switch got := binary.BigEndian.Uint32(payload); got {
		case method:
			return payload[4:], nil
		case connectionClose, channelClose:
			return nil, &Refused{Code: binary.BigEndian.Uint16(payload[4:]), Text: string(payload[7 : 7+int(payload[6])])}
		case basicNack:
			return nil, &Refused{Text: "nack"}
		}
	}
}
