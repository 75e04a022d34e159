package localbroker

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"
)

// probeTimeout bounds one probe.
const probeTimeout = 5 * time.Second

// Methods of AMQP 0-9-1, class and method in one number.
const (
	connectionStart   = 10<<16 | 10
	connectionStartOK = 10<<16 | 11
	connectionTune    = 10<<16 | 30
	connectionTuneOK  = 10<<16 | 31
	connectionOpen    = 10<<16 | 40
	connectionOpenOK  = 10<<16 | 41
	connectionClose   = 10<<16 | 50
)

const (
	frameMethod = 1
	frameEnd    = 0xce
	maxFrame    = 128 << 10
)

// Probe opens an AMQP connection up to its vhost, closes it, and returns the
// server's product and version. An error means that the broker at an amqp or amqps
// URL cannot be used as it stands; it never shows the password.
func Probe(ctx context.Context, amqpURL string) (server string, err error) {
	u, err := url.Parse(amqpURL)
	if err != nil || u.Host == "" || u.Scheme != "amqp" && u.Scheme != "amqps" {
		return "", errors.New("probe broker: want a URL such as amqp://user:password@host:5672/vhost")
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := dial(ctx, u)
	if err != nil {
		return "", fmt.Errorf("probe broker: %w", err)
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if server, err = shakeHands(conn, u); err != nil {
		return "", fmt.Errorf("probe broker on %s: %w", u.Host, err)
	}
	return server, nil
}

func dial(ctx context.Context, u *url.URL) (net.Conn, error) {
	port := u.Port()
	if u.Scheme == "amqps" {
		if port == "" {
			port = "5671"
		}
		return new(tls.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	}
	if port == "" {
		port = "5672"
	}
	return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
}

// shakeHands speaks the client's side of AMQP 0-9-1, section 2.2.4.
func shakeHands(conn io.ReadWriter, u *url.URL) (server string, err error) {
	if _, err := conn.Write([]byte("AMQP\x00\x00\x09\x01")); err != nil {
		return "", fmt.Errorf("send protocol header: %w", err)
	}
	start, err := expect(conn, connectionStart, "it does not speak AMQP 0-9-1")
	if err != nil {
		return "", err
	}
	server = text(start, "product") + " " + text(start, "version")
	user, password := "guest", "guest"
	if u.User != nil {
		user = u.User.Username()
		password, _ = u.User.Password()
	}
	login := binary.BigEndian.AppendUint32(nil, 0) // no client properties
	login = appendShort(login, "PLAIN")
	login = appendLong(login, "\x00"+user+"\x00"+password)
	login = appendShort(login, "en_US")
	if err := send(conn, connectionStartOK, login); err != nil {
		return "", err
	}
	tune, err := expect(conn, connectionTune, fmt.Sprintf("it refuses the login of user %q", user))
	if err != nil {
		return "", err
	}
	if err := send(conn, connectionTuneOK, tune); err != nil { // its own proposal
		return "", err
	}
	vhost := "/"
	if path := strings.TrimPrefix(u.Path, "/"); path != "" {
		vhost = path
	}
	if err := send(conn, connectionOpen, append(appendShort(nil, vhost), 0, 0)); err != nil {
		return "", err
	}
	if _, err := expect(conn, connectionOpenOK, fmt.Sprintf("it refuses the vhost %q", vhost)); err != nil {
		return "", err
	}
	// Said for the broker's log; the answer does not matter.
	_ = send(conn, connectionClose, append(binary.BigEndian.AppendUint16(nil, 200), 0, 0, 0, 0, 0))
	return server, nil
}

// expect reads one method frame on channel 0 and returns its arguments. otherwise
// says what it means when anything else comes, or nothing.
func expect(r io.Reader, method uint32, otherwise string) ([]byte, error) {
	var header [7]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, fmt.Errorf("%s: %w", otherwise, err)
	}
	size := binary.BigEndian.Uint32(header[3:])
	if header[0] != frameMethod || size < 4 || size > maxFrame {
		return nil, errors.New(otherwise)
	}
	payload := make([]byte, size+1)
	if _, err := io.ReadFull(r, payload); err != nil {
		return nil, fmt.Errorf("%s: %w", otherwise, err)
	}
	if payload[size] != frameEnd || binary.BigEndian.Uint32(payload) != method {
		return nil, errors.New(otherwise)
	}
	return payload[4:size], nil
}

func send(w io.Writer, method uint32, arguments []byte) error {
	frame := []byte{frameMethod, 0, 0}
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(arguments)+4))
	frame = binary.BigEndian.AppendUint32(frame, method)
	frame = append(append(frame, arguments...), frameEnd)
	if _, err := w.Write(frame); err != nil {
		return fmt.Errorf("answer the broker: %w", err)
	}
	return nil
}

func appendShort(b []byte, s string) []byte { return append(append(b, byte(len(s))), s...) }

func appendLong(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

// text finds a string field in an encoded table, without decoding the rest; "?"
// when it is not there.
func text(table []byte, name string) string {
	_, value, found := bytes.Cut(table, append(appendShort(nil, name), 'S'))
	if !found || len(value) < 4 {
		return "?"
	}
	size := binary.BigEndian.Uint32(value)
	if uint64(size) > uint64(len(value)-4) {
		return "?"
	}
	return string(value[4 : 4+size])
}
