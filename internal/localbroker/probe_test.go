package localbroker

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve answers each connection with script until the test ends.
func serve(t *testing.T, script func(conn net.Conn)) (address string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			script(conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return l.Addr().String()
}

// all lets rabbit say everything.
const all = ^uint32(0)

// rabbit plays the server's side of the handshake until, and without, one method.
func rabbit(until uint32) func(net.Conn) {
	return func(conn net.Conn) {
		if _, err := io.ReadFull(conn, make([]byte, 8)); err != nil {
			return
		}
		table := appendLong(append(appendShort(nil, "product"), 'S'), "RabbitMQ")
		table = append(table, appendLong(append(appendShort(nil, "version"), 'S'), "3.10.8")...)
		for _, step := range []struct {
			say, hear uint32
			arguments []byte
		}{
			{connectionStart, connectionStartOK, appendLong([]byte{0, 9}, string(table))},
			{connectionTune, connectionTuneOK, make([]byte, 8)},
			{0, connectionOpen, nil},
			{connectionOpenOK, connectionClose, []byte{0}},
		} {
			if step.say == until {
				return
			}
			if step.say != 0 && send(conn, step.say, step.arguments) != nil {
				return
			}
			if _, err := expect(conn, step.hear, "unexpected"); err != nil {
				return
			}
		}
	}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		script func(net.Conn)
		want   string // part of the error, "" for success
	}{
		{"a broker is named with its version", rabbit(all), ""},
		{"an open port that says nothing is no broker", func(net.Conn) {}, "does not speak AMQP"},
		{"a web server is no broker", func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n"+strings.Repeat(" ", 100))
		}, "does not speak AMQP"},
		{"another version of AMQP is no broker", func(c net.Conn) {
			_, _ = io.WriteString(c, "AMQP\x00\x01\x00\x00")
		}, "does not speak AMQP"},
		{"a frame of absurd size is not read", func(c net.Conn) {
			_, _ = c.Write(binary.BigEndian.AppendUint32([]byte{frameMethod, 0, 0}, 1<<31))
		}, "does not speak AMQP"},
		{"a refused login is told", rabbit(connectionTune), `refuses the login of user "me"`},
		{"a refused vhost is told", rabbit(connectionOpenOK), `refuses the vhost "v"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server, err := Probe(t.Context(), "amqp://me:hidden@"+serve(t, tt.script)+"/v")
			if tt.want == "" {
				if err != nil || server != "RabbitMQ 3.10.8" {
					t.Fatalf("probe says %q, %v", server, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hidden") {
				t.Fatalf("probe says %v, want something with %q and no password", err, tt.want)
			}
		})
	}
}

func TestProbeRefusesWhatIsNoAMQPAddress(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "127.0.0.1:5672", "http://127.0.0.1", "amqp://user:hidden@[::1", "amqp:///"} {
		if _, err := Probe(t.Context(), url); err == nil || strings.Contains(err.Error(), "hidden") {
			t.Errorf("probe of %q says %v, want an error without the password", url, err)
		}
	}
}

func TestStartTellsWhyThereIsNoBroker(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Options{Address: serve(t, func(net.Conn) {}), Skip: []Step{Installed, Install, Container}})
	if !errors.Is(err, ErrNone) {
		t.Fatalf("start says %v, want ErrNone", err)
	}
	for _, reason := range []string{"running broker: probe broker", "does not speak AMQP", "installed rabbitmq-server: skipped", "installation: skipped", "container: skipped"} {
		if !strings.Contains(err.Error(), reason) {
			t.Errorf("error lacks %q: %v", reason, err)
		}
	}
}

func TestStartTakesWhatIsThere(t *testing.T) {
	t.Parallel()
	address := serve(t, rabbit(all))
	for name, options := range map[string]Options{
		"the broker that was named":   {URL: "amqp://" + address, Address: "127.0.0.1:1"},
		"the broker that was running": {Address: address},
	} {
		b, err := Start(t.Context(), options)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if b.Private || !strings.Contains(b.How, "RabbitMQ 3.10.8") {
			t.Errorf("%s: %+v", name, b)
		}
		if err := b.Kill(t.Context()); err == nil {
			t.Errorf("%s: it was killed, and is not ours", name)
		}
		if err := b.Stop(t.Context()); err != nil {
			t.Errorf("%s: stop: %v", name, err)
		}
	}
}

func TestStartDoesNotReplaceTheBrokerThatWasNamed(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Options{URL: "amqp://me:hidden@127.0.0.1:1", Address: serve(t, rabbit(all))})
	if err == nil || errors.Is(err, ErrNone) || strings.Contains(err.Error(), "hidden") {
		t.Fatalf("start says %v, want why the named broker does not answer", err)
	}
}

func TestABrokerOfAnotherVersionIsNotTaken(t *testing.T) {
	t.Parallel()
	address := serve(t, rabbit(all)) // it is 3.10.8
	want := Want{Version: "4.3"}
	_, err := Start(t.Context(), Options{URL: "amqp://" + address, Want: want})
	if err == nil || errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "it is RabbitMQ 3.10.8, and RabbitMQ 4.3 is wanted") {
		t.Errorf("the broker that was named: start says %v", err)
	}
	_, err = Start(t.Context(), Options{Address: address, Want: want, Skip: []Step{Installed, Install, Container}})
	if !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "running broker: not here: it is RabbitMQ 3.10.8, and RabbitMQ 4.3 is wanted") {
		t.Errorf("the broker that was running: start says %v", err)
	}
	b, err := Start(t.Context(), Options{Address: address, Want: Want{Version: "3.10"}})
	if err != nil || b.Private {
		t.Errorf("a running broker of the wanted version: %+v, %v", b, err)
	}
}
