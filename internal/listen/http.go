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

// HTTPServer returns a server of h with a timeout on everything: the request, its
// answer and the pause between two. A handler whose answer takes longer calls
// Unhurried. The server speaks HTTP/1.1 and, when http2 is true, HTTP/2 without TLS.
// Logger gets net/http's messages.
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

// Unhurried removes the timeouts of reading and writing from one request.
func Unhurried(w http.ResponseWriter) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{})  // a writer without deadlines has none to remove
	_ = c.SetWriteDeadline(time.Time{}) // as above
}
