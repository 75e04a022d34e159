package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"runtime"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/internal/listen"
)

// path is one HTTP path; help is its line in /help.
type path struct {
	pattern string
	mutates bool
	help    string
	handler http.HandlerFunc
}

func (s *Service) paths() []path {
	paths := []path{
		{"/ready", false, "200 when ready, else 503 and why", Probe(s.opts.Sidecar.Ready).ServeHTTP},
		{"/server_info", false, "who this sidecar is and how it fares", message(func() proto.Message { return s.serverInfo() })},
		{"/config_dump", false, "what it runs on, versions, refusals, last contact", message(func() proto.Message { return s.opts.Sidecar.ConfigDump() })},
		{"/clusters", false, "every node of every broker", s.clusters},
		{"/listeners", false, "addresses of the event API", s.listeners},
		{"/memory", false, "memory and goroutines", memory},
		{"/healthcheck/fail", true, "make the readiness probe fail", s.healthCheck(true)},
		{"/healthcheck/ok", true, "undo /healthcheck/fail", s.healthCheck(false)},
		{"/logging", true, "show the log's level, or change it: ?level=debug|info|warn|error", s.logging},
		{"/drain", true, "end deliveries and wait: ?phase=delivery (default) or all, ?timeout=10s", s.drainPath},
		{"/drain_listeners", true, "the same as /drain?phase=all", s.drainListeners},
	}
	if s.opts.Quit {
		paths = append(paths, path{"/quitquitquit", true, "stop the process gracefully", s.quit})
	}
	if s.opts.Metrics != nil {
		paths = append(paths, path{"/stats/prometheus", false, "metrics, as at /metrics of the status port", s.opts.Metrics.ServeHTTP})
	}
	return paths
}

// Handler serves the HTTP paths.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, p := range s.paths() {
		mux.Handle(p.pattern, method(p.mutates, p.handler))
	}
	// Linkerd's path for the same as /logging.
	mux.HandleFunc("GET /proxy-log-level", s.proxyLogLevel)
	mux.HandleFunc("PUT /proxy-log-level", s.proxyLogLevel)
	mux.HandleFunc("GET /help", s.help)
	mux.HandleFunc("GET /{$}", s.help)
	if s.opts.Profiles {
		profiles(mux)
	} else {
		mux.Handle("/debug/pprof/", off("--admin-profiles"))
	}
	if !s.opts.Quit {
		mux.Handle("/quitquitquit", off("--admin-quit"))
	}
	return mux
}

// profiles adds those of net/http/pprof. They hold pieces of memory and cost time.
func profiles(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
}

// off answers for a path that a flag turns on.
func off(flag string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeText(w, http.StatusNotFound, r.URL.Path+" is off: start the sidecar with "+flag+"\n")
	})
}

// method allows changes by POST only. It answers a GET of such a path with 400, as
// Envoy's admin does.
func method(mutates bool, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		read := r.Method == http.MethodGet || r.Method == http.MethodHead
		switch {
		case mutates && read:
			writeText(w, http.StatusBadRequest, r.URL.Path+" changes something: use POST\n")
		case mutates && r.Method != http.MethodPost, !mutates && !read:
			w.Header().Set("Allow", map[bool]string{true: "POST", false: "GET, HEAD"}[mutates])
			writeText(w, http.StatusMethodNotAllowed, "method not allowed\n")
		default:
			if mutates {
				listen.Unhurried(w) // a drain takes as long as it was given
			}
			h(w, r)
		}
	}
}

// message answers with a protobuf message as JSON, every field present.
func message(value func() proto.Message) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		raw, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(value())
		var out bytes.Buffer
		if err == nil {
			err = json.Indent(&out, raw, "", "  ") // protojson varies its white space on purpose
		}
		if err != nil {
			writeText(w, http.StatusInternalServerError, err.Error()+"\n")
			return
		}
		out.WriteByte('\n')
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(out.Bytes()) // the reader may be gone
	}
}

// clusters prints a line for each fact of each node, in Envoy's form:
// broker::address::fact::value.
func (s *Service) clusters(w http.ResponseWriter, _ *http.Request) {
	var b strings.Builder
	for _, n := range s.opts.Sidecar.ServerInfo().GetBrokers() {
		for _, fact := range [][2]string{
			{"publishing", strconv.FormatBool(n.GetPublishing())},
			{"consuming", strconv.FormatBool(n.GetConsuming())},
			{"blocked", strconv.FormatBool(n.GetBlocked())},
			{"priority", strconv.FormatUint(uint64(n.GetPriority()), 10)},
			{"zone", n.GetZone()},
			{"queues_gone", strconv.FormatUint(n.GetQueuesGone(), 10)},
			{"server", n.GetServer()},
			{"reason", n.GetReason()},
		} {
			fmt.Fprintf(&b, "%s::%s::%s::%s\n", n.GetBroker(), n.GetAddress(), fact[0], fact[1])
		}
	}
	writeText(w, http.StatusOK, b.String())
}

func (s *Service) listeners(w http.ResponseWriter, _ *http.Request) {
	var b strings.Builder
	for _, address := range s.opts.Sidecar.ServerInfo().GetListeners() {
		fmt.Fprintf(&b, "events::%s\n", address)
	}
	writeText(w, http.StatusOK, b.String())
}

// memoryInfo is what /memory shows; sizes are in bytes.
type memoryInfo struct {
	Allocated  uint64 `json:"allocated"`
	HeapSize   uint64 `json:"heapSize"`
	FromSystem uint64 `json:"fromSystem"`
	Collected  uint32 `json:"garbageCollections"`
	Goroutines int    `json:"goroutines"`
}

func memory(w http.ResponseWriter, _ *http.Request) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(memoryInfo{m.Alloc, m.HeapSys, m.Sys, m.NumGC, runtime.NumGoroutine()}) // the reader may be gone
}

func (s *Service) healthCheck(fail bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		s.opts.Sidecar.FailHealthCheck(fail)
		writeText(w, http.StatusOK, "OK\n")
	}
}

func (s *Service) logging(w http.ResponseWriter, r *http.Request) {
	s.setLevel(w, r.FormValue("level"))
}

// setLevel changes the log's level unless want is empty, and shows it.
func (s *Service) setLevel(w http.ResponseWriter, want string) {
	if s.opts.LogLevel == nil {
		writeText(w, http.StatusNotImplemented, "this process does not let its log level be changed\n")
		return
	}
	if want != "" {
		var level slog.Level
		if err := level.UnmarshalText([]byte(want)); err != nil {
			writeText(w, http.StatusBadRequest, fmt.Sprintf("level %q: want debug, info, warn or error\n", want))
			return
		}
		s.opts.LogLevel.Set(level)
	}
	writeText(w, http.StatusOK, "active log level: "+levelName(s.opts.LogLevel.Level())+"\n")
}

// maxLevel is more than any level's name has bytes.
const maxLevel = 16

// proxyLogLevel shows the level, or takes it from the body.
func (s *Service) proxyLogLevel(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPut {
		s.setLevel(w, "")
		return
	}
	level, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxLevel))
	if err != nil || len(bytes.TrimSpace(level)) == 0 {
		writeText(w, http.StatusBadRequest, "the body must be debug, info, warn or error\n")
		return
	}
	s.setLevel(w, string(bytes.TrimSpace(level)))
}

func levelName(l slog.Level) string { return strings.ToLower(l.String()) }

var phases = map[string]adminv1.DrainPhase{
	"":         adminv1.DrainPhase_DRAIN_PHASE_DELIVERY,
	"delivery": adminv1.DrainPhase_DRAIN_PHASE_DELIVERY,
	"all":      adminv1.DrainPhase_DRAIN_PHASE_ALL,
}

func (s *Service) drainPath(w http.ResponseWriter, r *http.Request) {
	phase, ok := phases[r.FormValue("phase")]
	if !ok {
		writeText(w, http.StatusBadRequest, fmt.Sprintf("phase %q: want delivery or all\n", r.FormValue("phase")))
		return
	}
	timeout := s.opts.DrainTimeout
	if text := r.FormValue("timeout"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			writeText(w, http.StatusBadRequest, fmt.Sprintf("timeout %q: want a positive duration such as 10s\n", text))
			return
		}
		timeout = min(timeout, d)
	}
	s.answerDrain(w, s.drain(r.Context(), phase, timeout))
}

func (s *Service) drainListeners(w http.ResponseWriter, r *http.Request) {
	s.answerDrain(w, s.drain(r.Context(), adminv1.DrainPhase_DRAIN_PHASE_ALL, s.opts.DrainTimeout))
}

func (s *Service) answerDrain(w http.ResponseWriter, d *adminv1.DrainResponse) {
	text := "drained"
	if !d.GetClean() {
		text = "drained; what was not settled in time goes back to its queue"
	}
	writeText(w, http.StatusOK, text+"\n")
}

func (s *Service) quit(w http.ResponseWriter, _ *http.Request) {
	writeText(w, http.StatusOK, "OK\n")
	s.opts.Sidecar.Quit()
}

func (s *Service) help(w http.ResponseWriter, _ *http.Request) {
	var b strings.Builder
	b.WriteString("warren.admin.v1.AdminService answers on this port, too: see warren help.\n\n")
	for _, p := range s.paths() {
		verb := "GET "
		if p.mutates {
			verb = "POST"
		}
		fmt.Fprintf(&b, "%s %-18s %s\n", verb, p.pattern, p.help)
	}
	b.WriteString("GET  /proxy-log-level   the log's level; PUT one as the body to change it\n")
	if s.opts.Profiles {
		b.WriteString("GET  /debug/pprof/      profiles of the process\n")
	}
	writeText(w, http.StatusOK, b.String())
}
