//go:build jaeger

package jaeger

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

const (
	script     = "../../hack/jaeger/jaeger.sh"
	getTime    = 15 * time.Minute // for building it on a slow machine
	startTime  = time.Minute
	stopTime   = 15 * time.Second
	answerTime = time.Minute // until exported spans can be read
	pollEvery  = 100 * time.Millisecond
)

// server is a running Jaeger.
type server struct {
	otlp  string // http URL of the gRPC receiver
	query string // http URL of the API
}

// startTries bounds the number of attempts with new ports.
const startTries = 5

// start gets a Jaeger as the script does, runs it on free loopback ports, and returns
// when it answers. It ends with the test.
func start(t *testing.T) *server {
	t.Helper()
	path := get(t)
	for range startTries {
		if s := run(t, path); s != nil {
			return s
		}
	}
	t.Fatalf("Jaeger ended before it answered, %d times", startTries)
	return nil
}

// get gets a Jaeger and returns the script that runs it.
func get(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(script)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), getTime)
	defer cancel()
	get := exec.CommandContext(ctx, "sh", path, "get")
	get.Stdout, get.Stderr = os.Stderr, os.Stderr // so that a user sees the progress
	if err := get.Run(); err != nil {
		t.Fatalf("get Jaeger: %v", err)
	}
	return path
}

// run starts Jaeger once and waits until it answers. It returns nil when Jaeger ended
// before. Jaeger opens its ports some time after the test has found them free, and
// another program may have taken one of them meanwhile.
func run(t *testing.T, path string) *server {
	t.Helper()
	grpc, http, query := freeAddress(t), freeAddress(t), freeAddress(t)
	run := exec.Command("sh", path, "run") // ended by a signal, see stop
	run.Env = append(os.Environ(), "JAEGER_OTLP_GRPC="+grpc, "JAEGER_OTLP_HTTP="+http, "JAEGER_QUERY="+query)
	run.Stdout, run.Stderr = os.Stderr, os.Stderr
	if err := run.Start(); err != nil {
		t.Fatalf("start Jaeger: %v", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- run.Wait() }()
	ended := false
	t.Cleanup(func() {
		if !ended {
			stop(t, run.Process, exited)
		}
	})
	s := &server{otlp: "http://" + grpc, query: "http://" + query}
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	deadline := time.After(startTime)
	for {
		if s.read(t.Context(), "/api/services", new(any)) == nil {
			return s
		}
		select {
		case err := <-exited:
			ended = true
			t.Logf("Jaeger ended before it answered: %v", err)
			return nil
		case <-deadline:
			t.Fatalf("Jaeger does not answer on %s", s.query)
		case <-ticker.C:
		}
	}
}

// stop ends the process with a signal and waits for it.
func stop(t *testing.T, process *os.Process, exited <-chan error) {
	t.Helper()
	if err := process.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("stop Jaeger: %v", err)
	}
	select {
	case <-exited:
	case <-time.After(stopTime):
		t.Errorf("Jaeger did not stop within %s", stopTime)
		_ = process.Kill()
		<-exited
	}
}

// freeAddress returns a loopback address on which nothing listens at this moment.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// read decodes the API's answer for path into v.
func (s *server) read(ctx context.Context, path string, v any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.query+path, nil)
	if err != nil {
		return err
	}
	request.Close = true // an idle connection would outlive the test
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s: %s", path, response.Status, body)
	}
	return json.Unmarshal(body, v)
}

// eventually reads path into a new T until good returns true. When that takes too long,
// it fails the test with the last answer.
func eventually[T any](t *testing.T, s *server, path string, good func(T) bool) T {
	t.Helper()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	deadline := time.After(answerTime)
	for {
		var answer struct{ Data T }
		err := s.read(t.Context(), path, &answer)
		if err == nil && good(answer.Data) {
			return answer.Data
		}
		select {
		case <-deadline:
			t.Fatalf("GET %s: %v, answer so far: %+v", path, err, answer.Data)
		case <-ticker.C:
		}
	}
}
