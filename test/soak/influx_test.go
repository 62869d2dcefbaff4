package soak

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// influx is where the agent looks for InfluxDB: what answers there is InfluxDB, or for a while
// something that is none.
type influx struct {
	*httptest.Server
	nonsense atomic.Pointer[string] // nil: what InfluxDB says
}

func newInflux(t *testing.T, at string) *influx {
	t.Helper()
	u, err := url.Parse(at)
	must(t, err)
	x, proxy := &influx{}, httputil.NewSingleHostReverseProxy(u)
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { panic(http.ErrAbortHandler) } // as if nobody were there
	x.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answer := x.nonsense.Load(); answer != nil {
			_, _ = io.Copy(w, strings.NewReader(*answer))
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(x.Close)
	return x
}

func (x *influx) say(answer string) { x.nonsense.Store(&answer) }
func (x *influx) pass()             { x.nonsense.Store(nil) }
