package serve_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/serve"
	"github.com/gopprof/gopprof/test/hostile"
)

// FuzzRequest: whatever is asked, the answer is never an internal error.
func FuzzRequest(f *testing.F) {
	s := &scene{shelf: &shelf{blobs: map[string][]byte{}}, desk: &desk{}}
	r := s.put("shop", "web")
	s.explain(r.ID, "web")
	server, err := serve.New(serve.DefaultConfig(), serve.Deps{Reports: s.shelf, Captures: s.desk, Alerts: reader{20}}, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		f.Fatal(err)
	}
	f.Add("GET", "/api/v1/reports", "limit=1&after="+r.ID, "")
	f.Add("GET", "/api/v1/reports/"+r.ID+"/profiles/cpu", "", "")
	f.Add("GET", "/reports/"+r.ID, "", "")
	f.Add("GET", "/api/v1/reports/"+r.ID+"/evidence.svg", "", "")
	f.Add("GET", "/", "kind=cpu&from=%zz;x", "")
	f.Add("POST", "/api/v1/captures", "", `{"namespace":"shop","pod":"web","kinds":["cpu"],"seconds":1e999}`)
	f.Add("POST", "/api/v1/captures", "", "\xff")
	f.Add("POST", "/api/v1/alerts", "", notification("web", "web!", ""))
	f.Add("POST", "/api/v1/alerts", "", `{"version":"4","alerts":[{"status":"firing","labels":{"a":"\u0000"},"startsAt":"9999-12-31T23:59:59Z","fingerprint":"\ud800"}]}`)
	f.Add("DELETE", "/api/v1/operations/..", "", "")
	f.Add("GET", "//api/../api/v1/reports", "", "")
	for _, name := range hostile.Names() {
		escaped := url.QueryEscape(name)
		f.Add("GET", "/api/v1/reports/"+name, "", "")
		f.Add("GET", "/", "namespace="+escaped+"&workload="+escaped+"&kind="+escaped+"&after="+escaped, "")
		f.Add("GET", "/reports/"+r.ID, escaped+"="+escaped, "")
		quoted, err := json.Marshal(name)
		if err != nil {
			f.Fatal(err)
		}
		for path, body := range map[string]string{
			"/api/v1/captures": `{"namespace":Q,"pod":Q,"kinds":[Q]}`,
			"/api/v1/alerts":   `{"version":"4","receiver":Q,"alerts":[{"status":"firing","labels":{"alertname":Q,"namespace":"shop","pod":Q,Q:Q},"annotations":{Q:Q},"startsAt":"2026-11-28T03:04:05Z","generatorURL":Q,"fingerprint":Q}]}`,
		} {
			f.Add("POST", path, "", strings.ReplaceAll(body, "Q", string(quoted)))
		}
	}
	f.Fuzz(func(t *testing.T, method, path, query, body string) {
		r, err := http.NewRequest(method, "http://localhost/", strings.NewReader(body))
		if err != nil {
			return // no request has such a method
		}
		r.URL.Path, r.URL.RawQuery = path, query
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%s %q ? %q: %d %s", method, path, query, w.Code, w.Body)
		}
	})
}
