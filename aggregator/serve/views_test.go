package serve_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gopprof/gopprof/aggregator/serve"
	"github.com/gopprof/gopprof/aggregator/serve/web"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// viewer has every page, and keeps what it was asked for. The real views are another
// stage's: aggregator/app tests them behind this server.
type viewer struct {
	mu    sync.Mutex
	asked []web.View
	query []string
	err   error
}

const viewed = "<!DOCTYPE html><script>1</script>"

func (v *viewer) Page(_ context.Context, view web.View, page, query string) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asked, v.query = append(v.asked, view), append(v.query, page+"?"+query)
	return []byte(viewed), v.err
}

func (v *viewer) last(t *testing.T) (web.View, string) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.asked) == 0 {
		t.Fatal("no page was asked for")
	}
	return v.asked[len(v.asked)-1], v.query[len(v.query)-1]
}

// sandbox is what the policy of a page with scripts beside foreign names must say.
var sandbox = []string{
	"sandbox allow-scripts", "default-src 'none'", "script-src 'unsafe-inline'", "style-src 'unsafe-inline'", "img-src data:", "connect-src 'none'",
	"form-action 'none'", "base-uri 'none'", "frame-ancestors 'none'",
}

func TestViewPages(t *testing.T) {
	s := start(t, false)
	r, other := s.put("shop", "web-1"), s.put("shop", "web-2")
	a := s.get(t, "/reports/"+r.ID+"/pprof/cpu/flamegraph?f=main&p=%5Ex")
	if a.status != 200 || a.body != viewed || a.header.Get("Content-Type") != "text/html; charset=utf-8" || a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	if got := strings.Split(a.header.Get("Content-Security-Policy"), "; "); !slices.Equal(got, sandbox) {
		t.Errorf("policy %q, want %q", got, sandbox)
	}
	v, query := s.viewer.last(t)
	if v.Kind != gopprof.KindCPU || !v.Graph || v.Base != nil || query != "flamegraph?f=main&p=%5Ex" || v.Title != "shop/web-1 11:59:00: cpu" {
		t.Errorf("%+v %s", v, query)
	}
	if data, err := v.Profile(t.Context()); err != nil || !bytes.Equal(data, realProfiles()[gopprof.KindCPU]) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	s.get(t, "/reports/"+r.ID+"/pprof/heap/against/"+other.ID+"/top")
	d, _ := s.viewer.last(t)
	if d.Kind != gopprof.KindHeap || d.Graph || d.Base == nil || d.Key == v.Key || !strings.HasSuffix(d.Title, "heap, against shop/web-2 11:59:00") {
		t.Errorf("%+v", d)
	}
	if data, err := d.Base(t.Context()); err != nil || !bytes.Equal(data, realProfiles()[gopprof.KindHeap]) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	s.get(t, "/reports/"+other.ID+"/pprof/heap/against/"+r.ID+"/top")
	if again, _ := s.viewer.last(t); again.Key == d.Key {
		t.Error("a difference has the key of its opposite")
	}
	page := s.get(t, "/reports/"+r.ID).body
	for _, kind := range []string{"cpu", "heap"} {
		if link := `<a href="../reports/` + r.ID + "/pprof/" + kind + `/flamegraph">Flame graph</a>`; !strings.Contains(page, link) {
			t.Errorf("the report has no %s", link)
		}
	}
}

// TestViewAddresses: everything that leads on is relative and stays below the place where
// the server is mounted, so that it works behind any prefix, another's too.
func TestViewAddresses(t *testing.T) {
	s := start(t, false, func(c *serve.Config) { c.PathPrefix = "/gopprof" })
	r, other := s.put("shop", "web-1"), s.put("shop", "web-2")
	one, two := "/gopprof/reports/"+r.ID+"/pprof/cpu", "/gopprof/reports/"+r.ID+"/pprof/cpu/against/"+other.ID
	for path, want := range map[string]string{
		one:            one + "/flamegraph",
		one + "/":      one + "/flamegraph",
		one + "/graph": "/gopprof/api/v1/reports/" + r.ID + "/drawings/cpu",
		two:            two + "/flamegraph",
		two + "/":      two + "/flamegraph",
	} {
		a := s.get(t, path)
		to := a.header.Get("Location")
		if a.status != http.StatusFound || !strings.HasPrefix(to, "./") {
			t.Errorf("%s: %d to %q", path, a.status, to)
			continue
		}
		for _, mounted := range []string{"", "/api/v1/namespaces/gopprof/services/aggregator/proxy"} { // the second by kubectl proxy
			base := &url.URL{Scheme: "http", Host: "h", Path: mounted + path}
			led, err := base.Parse(to)
			if err != nil || led.String() != "http://h"+mounted+want {
				t.Errorf("%s leads to %v, want %s: %v", path, led, mounted+want, err)
			}
		}
	}
	for path, home := range map[string]string{one + "/top": "/gopprof/reports/" + r.ID, two + "/top": "/gopprof/reports/" + r.ID} {
		s.get(t, path)
		v, _ := s.viewer.last(t)
		led, err := (&url.URL{Path: path}).Parse(v.Home)
		if err != nil || led.Path != home {
			t.Errorf("home of %s is %v, want %s: %v", path, led, home, err)
		}
	}
	for _, path := range []string{
		"/gopprof/reports/" + r.ID + "/pprof/https:evil.example", "/gopprof/reports/https:evil.example/pprof/cpu",
		two + "x", one + "/against/https:evil.example", "/gopprof/reports/" + r.ID + "/pprof/javascript:alert(1)/",
	} {
		if a := s.get(t, path); a.header.Get("Location") != "" && a.header.Get("Location") != "./flamegraph" {
			t.Errorf("%s leads to %q", path, a.header.Get("Location"))
		}
	}
}

func TestViewsAreForWhoSeesBothReports(t *testing.T) {
	s := start(t, true)
	shop, cart := s.put("shop", "web-1"), s.put("cart", "web-2")
	one := "/reports/" + shop.ID + "/pprof/cpu/top"
	both := []string{"/reports/" + shop.ID + "/pprof/cpu/against/" + cart.ID + "/top", "/reports/" + cart.ID + "/pprof/cpu/against/" + shop.ID + "/top", "/reports/" + cart.ID + "/pprof/cpu/graph"}
	if a := s.do(t, http.MethodGet, one, shopToken, ""); a.status != 200 {
		t.Errorf("own: %d", a.status)
	}
	if a := s.do(t, http.MethodGet, one, "", ""); a.status != 401 {
		t.Errorf("nobody: %d", a.status)
	}
	for _, path := range both {
		if a := s.do(t, http.MethodGet, path, shopToken, ""); a.status != 404 || strings.Contains(a.body, "cart") {
			t.Errorf("%s for shop: %d %s", path, a.status, a.body)
		}
		if a := s.do(t, http.MethodGet, path, pairToken, ""); a.status >= 400 {
			t.Errorf("%s for both: %d", path, a.status)
		}
	}
}

// TestViewOfWhatIsGone: a file that the store does not have any more is no failure of ours.
func TestViewOfWhatIsGone(t *testing.T) {
	s := start(t, false)
	r := s.put("shop", "web-1")
	s.shelf.reports[0].Files[0].Profile = "swept/" + r.ID
	s.get(t, "/reports/"+r.ID+"/pprof/cpu/top")
	v, _ := s.viewer.last(t)
	if _, err := v.Profile(t.Context()); gopprof.ReasonOf(err) != gopprof.ReasonUnknown || !strings.Contains(err.Error(), "not in the store any more") {
		t.Errorf("error %v", err)
	}
	_, s.viewer.err = v.Profile(t.Context())
	if a := s.get(t, "/reports/"+r.ID+"/pprof/cpu/top"); a.status != 404 || !strings.Contains(a.body, "not in the store any more") || s.logs.FilterMessage("request failed").Len() != 0 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestViewsThatAreNone(t *testing.T) {
	s := start(t, false)
	r := s.put("shop", "web-1")
	for path, want := range map[string]int{
		"/reports/x/pprof/cpu/top": 404, "/reports/" + newID() + "/pprof/cpu/top": 404, "/reports/" + r.ID + "/pprof/mutex/top": 404,
		"/reports/" + r.ID + "/pprof/cmdline/top": 404, "/reports/" + r.ID + "/pprof/trace/top": 422, "/reports/" + r.ID + "/pprof/trace": 422,
		"/reports/" + r.ID + "/pprof/cpu/against/x/top": 404, "/reports/" + r.ID + "/pprof/cpu/against/" + newID() + "/top": 404,
	} {
		a := s.get(t, path)
		if a.status != want || !strings.Contains(a.body, "</html>") || strings.Contains(a.header.Get("Content-Security-Policy"), "script") {
			t.Errorf("%s: %d, want %d: %s", path, a.status, want, a.body)
		}
	}
	if len(s.viewer.asked) > 0 {
		t.Errorf("asked for %v", s.viewer.query)
	}
	for reason, want := range map[gopprof.Reason]int{
		gopprof.ReasonUnknown: 404, gopprof.ReasonBadInput: 422, gopprof.ReasonViewsFull: 503, gopprof.ReasonTimeout: 504,
		gopprof.ReasonViewFailed: 502, gopprof.ReasonInvalidProfile: 422, gopprof.ReasonTooLarge: 422, gopprof.ReasonCancelled: 503,
	} {
		s.viewer.err = &gopprof.Error{Reason: reason, Detail: "<b>because</b>"}
		a := s.get(t, "/reports/"+r.ID+"/pprof/cpu/top")
		if a.status != want || !strings.Contains(a.body, string(reason)+": &lt;b&gt;because&lt;/b&gt;") {
			t.Errorf("%s: %d, want %d: %s", reason, a.status, want, a.body)
		}
		if again := a.header.Get("Retry-After"); (again != "") != (reason == gopprof.ReasonViewsFull) {
			t.Errorf("%s: Retry-After %q", reason, again)
		}
	}
	s.viewer.err = errors.New("secret of the store")
	if a := s.get(t, "/reports/"+r.ID+"/pprof/cpu/top"); a.status != 500 || strings.Contains(a.body, "secret") || s.logs.FilterMessage("request failed").Len() != 1 {
		t.Errorf("%d %s", a.status, a.body)
	}
}
