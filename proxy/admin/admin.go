// Package admin serves a sidecar's HTTP endpoints: probes for the kubelet on one
// listener, and on another, loopback only, what operators look at. It owns the
// HTTP server and small handlers; what they show comes from the caller.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// Server is an HTTP server on one listener. A nil *Server serves nothing: its
// Serve returns at once, its address is "".
type Server struct {
	listener net.Listener
	http     *http.Server
}

// New builds a server; Serve starts it.
func New(l net.Listener, h http.Handler) *Server {
	return &Server{listener: l, http: &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}}
}

// Address returns host:port or the socket's path.
func (s *Server) Address() string {
	if s == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Serve blocks until Close.
func (s *Server) Serve() error {
	if s == nil {
		return nil
	}
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", s.Address(), err)
	}
	return nil
}

// Close ends the server after giving requests under way a second. It may be
// called without Serve.
func (s *Server) Close() error {
	if s == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(err, s.http.Close())
	}
	if err := s.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// Probe answers 200 "ok", or 503 with the reason when check returns an error.
func Probe(check func() error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		text := "ok"
		if err := check(); err != nil {
			text = err.Error()
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = w.Write([]byte(text + "\n")) // the prober may be gone
	})
}

// JSON answers with what value returns.
func JSON(value func() any) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		_ = enc.Encode(value()) // the reader may be gone
	})
}

// HandleProfiling adds /debug/pprof/.
func HandleProfiling(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
}
