package serve_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/serve"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// reader says what alerts ask for, as little as a test needs.
type reader struct{ most int }

func (r reader) MostAtOnce() int { return r.most }

func (r reader) Asks(receiver string, a api.NotifiedAlert) (gopprof.Manual, error) {
	if a.Labels["pod"] == "" {
		return gopprof.Manual{}, &gopprof.Error{Reason: gopprof.ReasonNoTarget, Detail: "it names no pod"}
	}
	return gopprof.Manual{Namespace: a.Labels["namespace"], Pod: a.Labels["pod"], Key: a.Fingerprint, Alert: &gopprof.Alert{Name: a.Labels["alertname"], Receiver: receiver}}, nil
}

// notification is one as Alertmanager 0.25 writes it, with alerts of these pods of shop; a
// resolved one is "pod!", one in another namespace "pod@namespace".
func notification(pods ...string) string {
	var alerts []string
	for _, pod := range pods {
		name, resolved := strings.CutSuffix(pod, "!")
		name, namespace, _ := strings.Cut(name, "@")
		status := map[bool]string{false: "firing", true: "resolved"}[resolved]
		if namespace == "" {
			namespace = "shop"
		}
		alerts = append(alerts, fmt.Sprintf(`{"status":%q,"labels":{"alertname":"Hot","namespace":%q,"pod":%q},"annotations":{"summary":"hot"},`+
			`"startsAt":"2026-11-28T03:04:05.000000006+01:00","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://prometheus/graph","fingerprint":"f-%s"}`, status, namespace, name, name))
	}
	return `{"receiver":"gopprof","status":"firing","alerts":[` + strings.Join(alerts, ",") + `],"groupLabels":{"alertname":"Hot"},"commonLabels":{},"commonAnnotations":{},` +
		`"externalURL":"http://alertmanager:9093","version":"4","groupKey":"{}:{alertname=\"Hot\"}","truncatedAlerts":0}`
}

func told(t *testing.T, s *scene, token, body string) (int, []api.AlertAnswer) {
	t.Helper()
	a := s.do(t, http.MethodPost, api.PathAlerts, token, body)
	var got api.AlertAnswers
	a.into(t, &got)
	return a.status, got.Alerts
}

func TestAlerts(t *testing.T) {
	s := start(t, true)
	s.desk.op = operationOf("shop", gopprof.CaptureWaiting)
	status, got := told(t, s, shopToken, notification("cart-0", "", "cart-1!", "vault-0@bank", "cart-0", "cart-2"))
	want := []api.AlertAnswer{
		{Fingerprint: "f-cart-0", State: api.AlertAsked, Operation: s.desk.op.ID},
		{Fingerprint: "f-", State: api.AlertRefused, Reason: gopprof.ReasonNoTarget, Detail: "it names no pod"},
		{Fingerprint: "f-cart-1", State: api.AlertOver},
		{Fingerprint: "f-vault-0", State: api.AlertRefused, Reason: gopprof.ReasonForbidden, Detail: `you may not profile in namespace "bank"`},
		{Fingerprint: "f-cart-0", State: api.AlertDuplicate, Operation: s.desk.op.ID},
		{Fingerprint: "f-cart-2", State: api.AlertRefused, Reason: gopprof.ReasonBudget},
	}
	if status != 202 || len(got) != len(want) {
		t.Fatalf("%d %+v", status, got)
	}
	for i := range want {
		if want[i].Reason == gopprof.ReasonBudget {
			want[i].Detail = got[i].Detail
		}
		if got[i] != want[i] {
			t.Errorf("alert %d: %+v, want %+v", i, got[i], want[i])
		}
	}
	asked := s.desk.asked[0]
	if len(s.desk.asked) != 2 || asked.Who != "team-shop" || asked.Pod != "cart-0" || asked.Alert == nil || asked.Alert.Receiver != "gopprof" {
		t.Errorf("asked %+v", s.desk.asked)
	}
	// Repeated, and when it is over, there is nothing to do.
	for _, again := range []string{notification("cart-0"), notification("cart-0!"), notification("vault-0@bank")} {
		if status, got := told(t, s, shopToken, again); status != 200 || len(got) != 1 || got[0].State == api.AlertAsked {
			t.Errorf("%d %+v", status, got)
		}
	}
}

// What can succeed later is a 5xx, the only answers that Alertmanager tries again; what was
// asked for stays asked for. Everything else is final.
func TestAlertsThatMaySucceedLater(t *testing.T) {
	for reason, later := range map[gopprof.Reason]bool{
		gopprof.ReasonBudget: true, gopprof.ReasonNoAnswer: true, gopprof.ReasonNATSFull: true, "": true,
		gopprof.ReasonUnknown: false, gopprof.ReasonPaused: false, gopprof.ReasonCooldown: false, gopprof.ReasonTerminating: false, gopprof.ReasonBadInput: false,
	} {
		s := start(t, false)
		s.desk.err = &gopprof.Error{Reason: reason, Detail: "as told"}
		if reason == "" {
			s.desk.err = fmt.Errorf("bucket at /secret/place is broken")
		}
		a := s.do(t, http.MethodPost, api.PathAlerts, "", notification("cart-0", "cart-1!"))
		if !later {
			if a.status != 200 || !strings.Contains(a.body, string(reason)) {
				t.Errorf("%q: %d %s", reason, a.status, a.body)
			}
			continue
		}
		p := a.problem(t)
		if a.status != 503 || a.header.Get("Retry-After") != "30" || len(p.Errors) != 1 || p.Errors[0].Location != "body.alerts[0]" || strings.Contains(a.body, "secret") {
			t.Errorf("%q: %d %v %s", reason, a.status, a.header, a.body)
		}
		s.desk.err, s.desk.op = nil, operationOf("shop", gopprof.CaptureWaiting)
		if status, _ := told(t, s, "", notification("cart-0", "cart-1!")); status != 202 {
			t.Errorf("%q, again: %d", reason, status)
		}
	}
}

func TestNotificationsThatMakeNoSense(t *testing.T) {
	s := start(t, false)
	good := notification("cart-0")
	for name, body := range map[string]string{
		"version 3":       strings.Replace(good, `"version":"4"`, `"version":"3"`, 1),
		"no version":      strings.Replace(good, `"version":"4",`, ``, 1),
		"no alerts":       notification(),
		"alerts are none": strings.Replace(good, `"alerts":[`, `"alerts":null,"other":[`, 1),
		"no fingerprint":  strings.Replace(good, `,"fingerprint":"f-cart-0"`, ``, 1),
		"empty one":       strings.Replace(good, `"f-cart-0"`, `""`, 1),
		"long one":        strings.Replace(good, `"f-cart-0"`, `"`+strings.Repeat("f", 65)+`"`, 1),
		"status":          strings.Replace(good, `"status":"firing","labels"`, `"status":"smoking","labels"`, 1),
		"no start":        strings.Replace(good, `2026-11-28T`, `yesterday`, 1),
		"labels":          strings.Replace(good, `"pod":"cart-0"`, `"pod":7`, 1),
		"a list":          `[]`,
	} {
		if a := s.do(t, http.MethodPost, api.PathAlerts, "", body); a.status != 422 || a.problem(t).Status != 422 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if a := s.do(t, http.MethodPost, api.PathAlerts, "", good[:50]); a.status != 400 || a.problem(t).Status != 400 {
		t.Errorf("cut short: %d %s", a.status, a.body)
	}
	if a := s.do(t, http.MethodPost, api.PathAlerts, "", notification(strings.Repeat("x", 1<<20))); a.status != 413 || a.problem(t).Status != 413 {
		t.Errorf("too large: %d %.200s", a.status, a.body)
	}
	if len(s.desk.asked) != 0 {
		t.Errorf("asked %+v", s.desk.asked)
	}
	if a := s.do(t, http.MethodGet, api.PathAlerts, "", ""); a.status != 405 {
		t.Errorf("GET: %d", a.status)
	}
}

// Alertmanager adds fields with its versions: they count for nothing, at either level.
func TestUnknownFieldsOfNotifications(t *testing.T) {
	s := start(t, false)
	s.desk.op = operationOf("shop", gopprof.CaptureWaiting)
	body := strings.Replace(notification("cart-0"), `"annotations"`, `"silenceURL":"http://x","values":{"A":1},"annotations"`, 1)
	var doc map[string]any
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatal(err)
	}
	doc["orgId"], doc["title"] = 1, map[string]any{"a": []int{1}}
	more, _ := json.Marshal(doc)
	if status, got := told(t, s, "", string(more)); status != 202 || got[0].State != api.AlertAsked {
		t.Errorf("%d %+v", status, got)
	}
}

// A notification of very many things that are none is refused in a few words, and takes no
// more memory than it is worth.
func TestAlertsThatAreNone(t *testing.T) {
	sc := &scene{shelf: &shelf{blobs: map[string][]byte{}}, desk: &desk{}}
	server, err := serve.New(serve.DefaultConfig(), serve.Deps{Reports: sc.shelf, Captures: sc.desk, Alerts: reader{20}}, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	full := func(head, unit, tail string, n int) string {
		return head + strings.TrimSuffix(strings.Repeat(unit, min(n, (1<<20-100-len(head)-len(tail))/len(unit))), ",") + tail
	}
	const most = 1 << 20
	for _, body := range []string{
		full(`{"version":"4","alerts":[`, "{},", `]}`, most), full(`{"version":"4","alerts":[`, "0,", `]}`, most),
		full(`{"version":"4","alerts":[`, "{},", `]}`, 2000), full(`{"version":"4","x":[`, "[0],", `]}`, most),
		full(`{"version":"4","alerts":[{"labels":{`, `"x":0,`, `}}]}`, most), full(`{"x":[`, `{"":0},`, `]}`, most),
		full(`{"version":"4","alerts":[{"x":"`, `y`, `"}]}`, most), full(``, `[`, ``, 9000), full(`{"version":"4","alerts":[`, "{},", ``, most),
	} {
		w := httptest.NewRecorder()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost"+api.PathAlerts, strings.NewReader(body))
		server.ServeHTTP(w, r)
		runtime.ReadMemStats(&after)
		took := (after.TotalAlloc - before.TotalAlloc) >> 20
		if w.Code < 400 || w.Code >= 500 || w.Body.Len() > 8<<20 || took > 64 {
			t.Errorf("%.40s: %d, answered by %d bytes, took %d MiB", body, w.Code, w.Body.Len(), took)
		}
	}
}

// Nor is a large notification that is one refused: a thousand alerts with many labels.
func TestManyAlerts(t *testing.T) {
	s := start(t, true)
	s.desk.op = operationOf("shop", gopprof.CaptureWaiting)
	body := strings.ReplaceAll(notification(slices.Repeat([]string{"cart"}, 1000)...), `"alertname":"Hot",`, `"alertname":"Hot",`+labels(18)+",")
	if len(body) < 600<<10 {
		t.Fatalf("%d bytes only", len(body))
	}
	if status, got := told(t, s, shopToken, body); status != http.StatusAccepted || len(got) != 1000 {
		t.Errorf("%d, %d answers", status, len(got))
	}
}

func labels(n int) string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf(`"label_%d":"value, [%d]"`, i, i))
	}
	return strings.Join(out, ",")
}
