// Package guard keeps web pages away from listeners that serve whoever reaches them.
// A browser reaches loopback, and with DNS rebinding a page of any site looks to the
// browser like one of the listener's own: only the Host it names tells it apart.
//
// It owns the three checks (Host, Origin, Sec-Fetch-Site) for HTTP and for gRPC. It
// does not decide what callers may do: processes on the host are not authenticated.
// Everything is safe for concurrent use.
//
// Decision: a foreign page is refused whatever the method.
// Context: a page that only reads sees configuration, addresses and passing events.
// Decision: Sec-Fetch-Site other than none or same-origin is refused for GET, too, and
// same-origin is no excuse for a foreign Host. On TCP the Host must be loopback with the
// listener's own port.
// Cost: a tunnel (kubectl port-forward, ssh -L) must use the same port at both ends.
package guard

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
)

// request holds the parts of an HTTP request or a gRPC call that are checked.
type request struct {
	host, origin, site string
	local              net.Addr // of the connection; nil when it is not known
}

// Handler answers 403 to requests that a browser sends for another site, and passes
// all others on.
func Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		err := check(request{
			host: r.Host, origin: r.Header.Get("Origin"), site: r.Header.Get("Sec-Fetch-Site"), local: local,
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// check returns why a request is refused. Its errors show only the start of the
// request's own text.
func check(r request) error {
	if err := checkHost(r.host, r.local); err != nil {
		return err
	}
	if r.site != "" && r.site != "none" && r.site != "same-origin" {
		return errors.New("requests of other sites are refused (Sec-Fetch-Site)")
	}
	if r.origin == "" {
		return nil
	}
	origin, err := url.Parse(r.origin)
	if err != nil || origin.Host == "" || origin.Host != r.host {
		return fmt.Errorf("requests of other origins are refused: %.80q", r.origin)
	}
	return nil
}

// checkHost refuses a host name that does not belong to this listener. DNS rebinding
// cannot reach a unix socket.
func checkHost(host string, local net.Addr) error {
	tcp, ok := local.(*net.TCPAddr)
	if !ok {
		if local != nil && local.Network() == "unix" {
			return nil
		}
		return errors.New("the connection is neither TCP nor a unix socket")
	}
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = host, "80" // a browser omits the default port
	}
	if ip := net.ParseIP(name); name != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("host %.80q is refused: want localhost or a loopback address", host)
	}
	if port != strconv.Itoa(tcp.Port) {
		return fmt.Errorf("host %.80q is refused: want port %d", host, tcp.Port)
	}
	return nil
}
