package listen_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"

	"github.com/warrenmesh/warren/internal/listen"
)

// served runs an HTTP server on loopback until the test ends and returns its URL.
func served(t *testing.T, s *http.Server) string {
	t.Helper()
	l, err := listen.Open(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if got := listen.Target(l); got != l.Addr().String() {
		t.Errorf("target %s of %s", got, l.Addr())
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() { _ = s.Close(); serving.Wait() })
	return "http://" + l.Addr().String()
}

func TestAnHTTPServerSpeaksHTTP2OnlyWhereItIsAskedTo(t *testing.T) {
	t.Parallel()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Spoken", r.Proto) })
	for _, http2 := range []bool{true, false} {
		s := listen.HTTPServer(handler, http2, slog.New(slog.DiscardHandler))
		if s.ReadHeaderTimeout <= 0 || s.ReadTimeout < s.ReadHeaderTimeout || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 {
			t.Errorf("a timeout is missing: %+v", s)
		}
		url := served(t, s)
		for _, client2 := range []bool{true, false} {
			transport := &http.Transport{Protocols: new(http.Protocols)}
			transport.Protocols.SetHTTP1(!client2)
			transport.Protocols.SetUnencryptedHTTP2(client2)
			t.Cleanup(transport.CloseIdleConnections)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			res, err := (&http.Client{Transport: transport}).Do(req)
			if err == nil {
				_ = res.Body.Close()
			}
			switch {
			case client2 && !http2:
				if err == nil {
					t.Errorf("HTTP/2 is served though it is off: %s", res.Header.Get("Spoken"))
				}
			case err != nil:
				t.Errorf("HTTP/2 is %t at the server and %t at the client: %v", http2, client2, err)
			case client2 != (res.Header.Get("Spoken") == "HTTP/2.0"):
				t.Errorf("HTTP/2 is %t at the client, served was %s", client2, res.Header.Get("Spoken"))
			}
		}
	}
}

func TestAnHTTPServerBoundsHeaders(t *testing.T) {
	t.Parallel()
	url := served(t, listen.HTTPServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), false, slog.New(slog.DiscardHandler)))
	for bytes, want := range map[int]int{8 << 10: http.StatusOK, 64 << 10: http.StatusRequestHeaderFieldsTooLarge} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X", strings.Repeat("x", bytes))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("a header of %d bytes: status %d, want %d", bytes, res.StatusCode, want)
		}
	}
	listen.Unhurried(httptest.NewRecorder()) // has no deadlines, which must not matter
}

func TestStreamsAreBoundedAndGiveTheirPlaceBack(t *testing.T) {
	t.Parallel()
	full, other := errors.New("full"), errors.New("other")
	limit := listen.LimitStreams(2, func(method string) bool { return method == "/Subscribe" }, func() error { return full })
	release, running := make(chan struct{}), make(chan struct{})
	hold := func(any, grpc.ServerStream) error { running <- struct{}{}; <-release; return other }
	call := func(method string, handle grpc.StreamHandler) error {
		return limit(nil, nil, &grpc.StreamServerInfo{FullMethod: method}, handle)
	}
	var held sync.WaitGroup
	for range 2 {
		held.Go(func() {
			if err := call("/Subscribe", hold); !errors.Is(err, other) {
				t.Errorf("a stream within the bound ended with %v, want its handler's", err)
			}
		})
		<-running
	}
	never := func(any, grpc.ServerStream) error { t.Error("a stream beyond the bound was served"); return nil }
	for range 3 { // those that are refused take no place
		if err := call("/Subscribe", never); !errors.Is(err, full) {
			t.Errorf("a stream beyond the bound: %v", err)
		}
	}
	served := false
	if err := call("/Health", func(any, grpc.ServerStream) error { served = true; return nil }); err != nil || !served {
		t.Errorf("a stream that is not counted: %v", err)
	}
	close(release)
	held.Wait()
	served = false
	if err := call("/Subscribe", func(any, grpc.ServerStream) error { served = true; return nil }); err != nil || !served {
		t.Errorf("a stream after the others ended: %v", err)
	}
}

func TestOpenSaysWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := listen.Open(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	for address, want := range map[string]string{
		taken.Addr().String(): "address already in use",
		"127.0.0.1:70000":     "listen on 127.0.0.1:70000: ",
		"unix:" + file:        "it exists and is not a socket",
		"unix:" + dir:         "it exists and is not a socket",
		"unix:" + filepath.Join(dir, "none", "s"): "no such file or directory",
		"unix:" + filepath.Join(file, "s"):        "not a directory",
	} {
		l, err := listen.Open(t.Context(), address)
		if err == nil {
			_ = l.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "/.w") && !strings.Contains(err.Error(), address[5:]) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
