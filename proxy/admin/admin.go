// Package admin is how operators and the kubelet look at a sidecar and steer it:
// probes on one listener, and on another, loopback only, warren.admin.v1 by gRPC
// and Envoy-like HTTP paths, on one port.
//
// It owns the server, the paths and the tap's stream. What they show and do comes
// from a Sidecar, which the composition root implements. Reading needs GET,
// everything that changes something POST; a GET of such a path is 400, as Envoy
// has it. Requests that a browser sends for another site are refused. All of it is
// safe for concurrent use.
//
//	GET   /ready /server_info /config_dump /clusters /listeners /memory /help
//	      /debug/pprof/ if Options.Profiles
//	POST  /healthcheck/fail /healthcheck/ok /logging?level= /drain?phase=
//	      /drain_listeners, /quitquitquit if Options.Quit
//	PUT   /proxy-log-level, and GET, as Linkerd has it
//
//	service := admin.NewService(admin.Options{Sidecar: p, ...})
//	s := admin.New(listener, service.Handler(), service.GRPC(), logger)
//	g.Go(s.Serve)
//	defer s.Close()
//
// One port for both protocols:
//
// Context: operators reach for curl, the warren command for gRPC; two ports would
// be two flags and two things to get wrong.
// Decision: HTTP/1.1 and unencrypted HTTP/2 on one listener; requests with
// content-type application/grpc go to the gRPC server.
// Cost: gRPC's own transport is not used here, so keepalive options have no effect.
package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/warrenmesh/warren/internal/guard"
	"github.com/warrenmesh/warren/internal/listen"
)

// Server is an HTTP server on one listener. A nil *Server serves nothing: its
// Serve returns at once, its address is "".
type Server struct {
	listener net.Listener
	http     *http.Server
	grpc     *grpc.Server // nil when there is none
}

// New builds a server; Serve starts it. A g that is not nil answers gRPC on the
// same port, to no page of another site, and is stopped by Close. Logger takes what
// net/http has to say.
func New(l net.Listener, h http.Handler, g *grpc.Server, logger *slog.Logger) *Server {
	if g != nil {
		h = guard.Handler(split(h, g))
	}
	return &Server{listener: l, grpc: g, http: listen.HTTPServer(h, g != nil, logger)}
}

// split tells gRPC from plain HTTP by the content type, as gRPC's specification
// has it (PROTOCOL-HTTP2, Requests).
func split(h http.Handler, g *grpc.Server) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			listen.Unhurried(w) // a tap lasts as long as its reader
			g.ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
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

// Close ends the server after giving requests under way a second; those that take
// longer, such as a profile, are cut. It may be called without Serve.
func (s *Server) Close() error {
	if s == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if s.grpc != nil {
		s.grpc.Stop()
	}
	if err != nil {
		return s.http.Close()
	}
	if err := s.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// Probe answers 200 "ok", or 503 with the reason when check returns an error.
func Probe(check func() error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		text := "ok"
		status := http.StatusOK
		if err := check(); err != nil {
			text, status = err.Error(), http.StatusServiceUnavailable
		}
		writeText(w, status, text+"\n")
	})
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // the reader may be gone
}
