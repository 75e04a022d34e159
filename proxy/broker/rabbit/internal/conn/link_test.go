package conn

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// dialing runs a node's two links for d of fake time and returns the times of the
// publish link's tries to connect, since the start.
func dialing(t *testing.T, d time.Duration, o Options, dial func(context.Context) (net.Conn, error)) (tries []time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	start := time.Now()
	o.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		tries = append(tries, time.Since(start))
		return dial(ctx)
	}
	o = o.WithDefaults()
	l := NewLink("publish", &o, func(context.Context, *Session) (func(context.Context), error) { return nil, nil })
	l.Run(ctx)
	return tries
}

func gaps(tries []time.Duration) (out []time.Duration) {
	for i := 1; i < len(tries); i++ {
		out = append(out, tries[i]-tries[i-1])
	}
	return out
}

func TestReconnectsBackOffWithFullJitterAndNeverGiveUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := Options{Address: "broker:5672", Rand: func() float64 { return 1 }}
		tries := dialing(t, time.Hour, o, func(context.Context) (net.Conn, error) { return nil, errors.New("no route to host") })
		got := gaps(tries)
		want := []time.Duration{50, 100, 200, 400, 800, 1600, 3200, 5000, 5000}
		for i := range want {
			if got[i] != want[i]*time.Millisecond {
				t.Errorf("delay %d is %v, want %v", i+1, got[i], want[i]*time.Millisecond)
			}
		}
		if len(tries) < 700 {
			t.Errorf("%d tries in an hour, want it to go on", len(tries))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		o := Options{Address: "broker:5672", Rand: func() float64 { return 0.5 }}
		got := gaps(dialing(t, time.Minute, o, func(context.Context) (net.Conn, error) { return nil, io.EOF }))
		if got[0] != 25*time.Millisecond || got[9] != 2500*time.Millisecond {
			t.Errorf("delays %v, want half of the ceiling with a jitter of one half", got)
		}
	})
}

func TestARefusedConnectIsTriedAgainWithinASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := Options{Address: "broker:5672", Rand: func() float64 { return 1 }}
		refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		for i, d := range gaps(dialing(t, time.Minute, o, func(context.Context) (net.Conn, error) { return nil, refused })) {
			if d > refusedCap {
				t.Fatalf("delay %d is %v, want at most %v", i+1, d, refusedCap)
			}
		}
	})
}

// greeter is the beginning of an AMQP broker: it greets, hears the credentials
// and closes the connection after a while.
type greeter struct {
	closeAfter time.Duration

	mu    sync.Mutex
	heard []string // the PLAIN response of each connection
	wg    sync.WaitGroup
}

func (g *greeter) dial(context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	g.wg.Go(func() { g.serve(server) })
	return client, nil
}

func (g *greeter) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	if _, err := io.ReadFull(conn, make([]byte, 8)); err != nil { // the protocol header
		return
	}
	// connection.start: version 0-9, no properties, PLAIN, en_US.
	start := []byte{0, 10, 0, 10, 0, 9, 0, 0, 0, 0, 0, 0, 0, 5, 'P', 'L', 'A', 'I', 'N', 0, 0, 0, 5, 'e', 'n', '_', 'U', 'S'}
	frame := binary.BigEndian.AppendUint32([]byte{1, 0, 0}, uint32(len(start)))
	if _, err := conn.Write(append(append(frame, start...), 0xce)); err != nil {
		return
	}
	head := make([]byte, 7)
	if _, err := io.ReadFull(conn, head); err != nil {
		return
	}
	body := make([]byte, binary.BigEndian.Uint32(head[3:])+1)
	if _, err := io.ReadFull(conn, body); err != nil {
		return
	}
	g.mu.Lock()
	if _, response, ok := bytes.Cut(body, []byte("PLAIN")); ok {
		g.heard = append(g.heard, string(response[4:4+binary.BigEndian.Uint32(response)]))
	}
	g.mu.Unlock()
	<-time.After(g.closeAfter) // of the bubble's clock
}

func TestRefusedCredentialsAreReadAgainSlowlyAndNeverLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		calls := 0
		o := Options{
			Address: "broker:5672", Rand: func() float64 { return 0 },
			Logger: slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})),
			Credentials: func() (string, string, error) {
				calls++
				return "shop", fmt.Sprintf("hunter%d?@/%%", calls), nil
			},
		}
		g := &greeter{closeAfter: 3 * time.Second} // as RabbitMQ does on wrong credentials
		tries := dialing(t, time.Minute, o, g.dial)
		g.wg.Wait()
		for i, d := range gaps(tries) {
			if d < 8*time.Second {
				t.Errorf("try %d after %v, want 3s of the broker's and at least 5s of ours", i+2, d)
			}
		}
		for i, heard := range g.heard {
			if want := fmt.Sprintf("\x00shop\x00hunter%d?@/%%", i+1); heard != want {
				t.Errorf("try %d said %q, want %q", i+1, heard, want)
			}
		}
		if len(g.heard) < 5 {
			t.Errorf("%d tries in a minute, want it to go on", len(g.heard))
		}
		if strings.Contains(logged.String(), "hunter") || !strings.Contains(logged.String(), "403") {
			t.Errorf("log has the password, or not the reason:\n%s", logged.String())
		}
	})
}

func TestACutDuringTheHandshakeIsNotTakenForWrongCredentials(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &greeter{closeAfter: 10 * time.Millisecond}
		o := Options{Address: "broker:5672", Rand: func() float64 { return 1 }}
		got := gaps(dialing(t, time.Second, o, g.dial))
		g.wg.Wait()
		if len(got) < 3 {
			t.Errorf("%d tries in a second, want quick ones", len(got)+1)
		}
	})
}

func TestAHandshakeWithoutAnAnswerIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &greeter{closeAfter: time.Hour}
		o := Options{Address: "broker:5672", DialTimeout: 4 * time.Second, Rand: func() float64 { return 0 }}
		tries := dialing(t, 30*time.Second, o, g.dial)
		if got := gaps(tries); len(got) == 0 || got[0] != 4*time.Second {
			t.Errorf("tries at %v, want one each 4s", tries)
		}
		g.wg.Wait()
	})
}

func TestUnreadableCredentialsAreTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		o := Options{Address: "broker:5672", Credentials: func() (string, string, error) {
			calls++
			return "", "", errors.New("no such file")
		}}
		tries := dialing(t, time.Minute, o, func(context.Context) (net.Conn, error) { return nil, io.EOF })
		if len(tries) != 0 || calls < 5 {
			t.Errorf("%d dials and %d reads, want none and many", len(tries), calls)
		}
	})
}

func TestSlowIsWhatAQuickRepeatCannotHeal(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err  error
		want bool
	}{
		"credentials refused":  {fmt.Errorf("open: %w", amqp.ErrCredentials), true},
		"vhost missing":        {&amqp.Error{Code: 530, Server: true}, true},
		"connection forced":    {&amqp.Error{Code: 320, Server: true}, false},
		"internal error":       {&amqp.Error{Code: 541, Server: true}, false},
		"cut in the handshake": {fmt.Errorf("open: %w", errCut), false},
	}
	for name, tc := range tests {
		if got := slow(tc.err); got != tc.want {
			t.Errorf("%s: slow is %v, want %v", name, got, tc.want)
		}
	}
}
