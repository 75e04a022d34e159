package admin_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/warrenmesh/warren/proxy/admin"
)

func ExampleProbe() {
	probe := admin.Probe(func() error { return errors.New("broker shop/main: connection refused") })
	w := httptest.NewRecorder()
	probe.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	fmt.Print(w.Code, " ", w.Body)
	// Output: 503 broker shop/main: connection refused
}
