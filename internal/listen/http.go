package listen

import (
	"log/slog"
	"net/http"
	"time"
)

const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 30 * time.Second
	// idleTimeout is more than the usual pause between two scrapes.
	idleTimeout = 75 * time.Second

	http2Streams = 64
)

// HTTPServer returns a server of h in which nothing lasts for ever: not a request, not
// its answer, not the pause between two. A handler whose answer takes longer says so
// with Unhurried. Both HTTP/1.1 and, when http2 is true, HTTP/2 without TLS are served.
// Logger takes what net/http has to say.
func HTTPServer(h http.Handler, http2 bool, logger *slog.Logger) *http.Server {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderList,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	if http2 {
		s.Protocols = new(http.Protocols)
		s.Protocols.SetHTTP1(true)
		s.Protocols.SetUnencryptedHTTP2(true)
		s.HTTP2 = &http.HTTP2Config{
			MaxConcurrentStreams:          http2Streams,
			MaxReceiveBufferPerStream:     streamWindow,
			MaxReceiveBufferPerConnection: connWindow,
			SendPingTimeout:               pingEvery,
			PingTimeout:                   pingTimeout,
			WriteByteTimeout:              writeTimeout,
		}
	}
	return s
}

// Unhurried takes the timeouts of reading and writing off one request.
func Unhurried(w http.ResponseWriter) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{})  // not every writer can, and then there is none
	_ = c.SetWriteDeadline(time.Time{}) // as above
}
