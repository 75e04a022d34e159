package guard_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/warrenmesh/warren/internal/guard"
)

func TestPagesOfOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })))
	t.Cleanup(s.Close)
	own := strings.TrimPrefix(s.URL, "http://")
	_, port, err := net.SplitHostPort(own)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		host, origin, site string
		want               int
	}{
		"curl":                                       {own, "", "", 200},
		"curl by name":                               {"localhost:" + port, "", "", 200},
		"curl by IPv6":                               {"[::1]:" + port, "", "", 200},
		"an address typed into a browser":            {own, "", "none", 200},
		"a page of its own":                          {own, "http://" + own, "same-origin", 200},
		"DNS rebinding":                              {"evil.example:" + port, "http://evil.example:" + port, "same-origin", 403},
		"DNS rebinding by an old browser":            {"evil.example:" + port, "", "", 403},
		"a name that only begins as loopback":        {"127.0.0.1.evil.example:" + port, "", "", 403},
		"a name that only begins as localhost":       {"localhost.evil.example:" + port, "", "", 403},
		"another address of this host":               {"10.0.0.1:" + port, "", "", 403},
		"all interfaces":                             {"0.0.0.0:" + port, "", "", 403},
		"another port":                               {"127.0.0.1:1", "", "", 403},
		"no port":                                    {"127.0.0.1", "", "", 403},
		"a form or a script of another site":         {own, "https://evil.example", "cross-site", 403},
		"a page of another local port":               {own, "http://localhost:3000", "same-site", 403},
		"a page without an origin":                   {own, "null", "cross-site", 403},
		"an opaque origin by an old browser":         {own, "null", "", 403},
		"another origin by an old browser":           {own, "https://evil.example", "", 403},
		"an origin that claims to be no request's":   {own, "https://evil.example", "none", 403},
		"a site that is not known":                   {own, "", "whatever", 403},
		"a picture or a link in a page of elsewhere": {own, "", "cross-site", 403},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodOptions, http.MethodDelete} {
			t.Run(name+" "+method, func(t *testing.T) {
				t.Parallel()
				req, err := http.NewRequestWithContext(t.Context(), method, s.URL+"/quitquitquit", nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Host = test.host
				for key, value := range map[string]string{"Origin": test.origin, "Sec-Fetch-Site": test.site} {
					if value != "" {
						req.Header.Set(key, value)
					}
				}
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = res.Body.Close()
				if res.StatusCode != test.want {
					t.Errorf("status %d, want %d", res.StatusCode, test.want)
				}
			})
		}
	}
}

func TestAnyHostReachesAUnixSocketButNoForeignPage(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })))
	_ = s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", l.Addr().String())
	}}}
	t.Cleanup(client.CloseIdleConnections)
	for site, want := range map[string]int{"": 200, "cross-site": 403} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://admin/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if site != "" {
			req.Header.Set("Sec-Fetch-Site", site)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("Sec-Fetch-Site %q: status %d, want %d", site, res.StatusCode, want)
		}
	}
}

func TestCallsByAForeignNameAreRefused(t *testing.T) {
	t.Parallel()
	s := grpc.NewServer(guard.ServerOptions()...)
	healthv1.RegisterHealthServer(s, health.NewServer())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(l) }() // ends with Stop
	t.Cleanup(s.Stop)
	for name, test := range map[string]struct {
		authority string
		header    []string
		want      codes.Code
	}{
		"as dialled":      {l.Addr().String(), nil, codes.OK},
		"by another name": {"evil.example:17440", nil, codes.PermissionDenied},
		"of another page": {l.Addr().String(), []string{"origin", "https://evil.example"}, codes.PermissionDenied},
		"of another site": {l.Addr().String(), []string{"sec-fetch-site", "cross-site"}, codes.PermissionDenied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority(test.authority))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			ctx := metadata.AppendToOutgoingContext(t.Context(), test.header...)
			c := healthv1.NewHealthClient(conn)
			_, err = c.Check(ctx, &healthv1.HealthCheckRequest{})
			if status.Code(err) != test.want {
				t.Errorf("Check: %v, want %s", err, test.want)
			}
			w, err := c.Watch(ctx, &healthv1.HealthCheckRequest{})
			if err == nil {
				_, err = w.Recv()
			}
			if status.Code(err) != test.want {
				t.Errorf("Watch: %v, want %s", err, test.want)
			}
		})
	}
}
