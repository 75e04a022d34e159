package controlplane

import (
	"io"
	"log/slog"
	"net/http"

	"github.com/warrenmesh/warren/internal/listen"
)

// newStatusServer answers probes: /livez while the process works, and /readyz once a
// good set is in force, because only then are sidecars served. /metrics is on the same
// listener.
func newStatusServer(ready <-chan struct{}, metrics http.Handler, logger *slog.Logger) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "ok\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-ready:
			answer(w, http.StatusOK, "ok\n")
		default:
			answer(w, http.StatusServiceUnavailable, "no good configuration yet: see warren status\n")
		}
	})
	return listen.HTTPServer(mux, false, logger)
}

func answer(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, text) // the caller has gone: nothing to do
}
