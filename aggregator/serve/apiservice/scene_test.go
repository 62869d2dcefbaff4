package apiservice

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// scene is an aggregated API and what stands behind it.
type scene struct {
	t       *testing.T
	handler http.Handler
	logs    *observer.ObservedLogs

	reports []gopprof.Report // newest first
	nodes   []gopprof.NodeState
	asked   []api.ReportQuery
	err     error
	inner   http.HandlerFunc
	passed  *http.Request // what the HTTP API was asked last
}

func newScene(t *testing.T) *scene {
	core, logs := observer.New(zapcore.DebugLevel)
	s := &scene{t: t, logs: logs}
	s.inner = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("inner")) }
	s.handler = New(Deps{
		Cluster: "prod", Reports: s, Nodes: func(context.Context) ([]gopprof.NodeState, error) { return s.nodes, s.err },
		API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.passed = r; s.inner(w, r) }),
		Now: func() time.Time { return noon }, Log: zap.New(core),
	})
	return s
}

func (s *scene) List(_ context.Context, q api.ReportQuery) (api.ReportPage, error) {
	s.asked = append(s.asked, q)
	var page api.ReportPage
	start := 1 + slices.IndexFunc(s.reports, func(r gopprof.Report) bool { return r.ID == q.After })
	for _, r := range s.reports[start:] {
		if r.Capture.Target.Cluster != q.Cluster || q.Namespace != "" && r.Capture.Target.Namespace != q.Namespace {
			continue
		}
		if len(page.Reports) == q.Limit {
			page.Next = page.Reports[q.Limit-1].ID
			break
		}
		page.Reports = append(page.Reports, r)
	}
	return page, s.err
}

func (s *scene) Report(_ context.Context, id string) (gopprof.Report, error) {
	if s.err != nil {
		return gopprof.Report{}, s.err
	}
	for _, r := range s.reports {
		if r.ID == id {
			return r, nil
		}
	}
	return gopprof.Report{}, &gopprof.Error{Reason: gopprof.ReasonUnknown, Detail: "no such report"}
}

// put adds a report of a pod, newer than those before.
func (s *scene) put(id, namespace, pod string, change func(*gopprof.Report)) {
	r := gopprof.Report{ID: id, Capture: gopprof.Capture{
		ID: id, Start: noon.Add(-time.Hour + time.Duration(len(s.reports))*time.Minute),
		Target:  gopprof.Target{Cluster: "prod", Node: "node-a", Namespace: namespace, Pod: pod, Container: "web", Workload: gopprof.Workload{Kind: "Deployment", Name: "web"}},
		Trigger: gopprof.Trigger{Kind: gopprof.TriggerRule, Evidence: &gopprof.Evidence{Rule: "cpu"}},
	}, Explanation: gopprof.Explanation{Summary: "main.price burns 61 %"}}
	if change != nil {
		change(&r)
	}
	s.reports = slices.Insert(s.reports, 0, r)
}

const (
	inShop     = "/apis/gopprof.io/v1/namespaces/shop/"
	anywhere   = "/apis/gopprof.io/v1/"
	tableFirst = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)

func (s *scene) do(method, path, accept string) *httptest.ResponseRecorder {
	path, query, _ := strings.Cut(path, "?")
	r := httptest.NewRequest(method, "https://gopprof-aggregator.gopprof.svc/", nil)
	r.URL.Path, r.URL.RawQuery = path, query
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

// get reads an answer of a kind.
func get[T any](s *scene, path, accept string) (out T) {
	s.t.Helper()
	w := s.do(http.MethodGet, path, accept)
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
		s.t.Fatalf("%s: %d %q %s", path, w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		s.t.Fatalf("%s: %v: %s", path, err, w.Body)
	}
	return out
}

// status reads an answer that must be a Status.
func (s *scene) status(w *httptest.ResponseRecorder) metav1.Status {
	s.t.Helper()
	var out metav1.Status
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || out.Kind != "Status" || out.APIVersion != "v1" || int(out.Code) != w.Code || out.Message == "" || out.Reason == "" {
		s.t.Errorf("%d is no Status: %v: %s", w.Code, err, w.Body)
	}
	return out
}

// text writes a table as kubectl does, but for the widths.
func text(t metav1.Table, wide bool) string {
	var b strings.Builder
	var columns []int
	for i, c := range t.ColumnDefinitions {
		if c.Priority == 0 || wide {
			columns = append(columns, i)
			fmt.Fprintf(&b, "%s|", strings.ToUpper(c.Name))
		}
	}
	for _, row := range t.Rows {
		b.WriteString("\n")
		for _, i := range columns {
			fmt.Fprintf(&b, "%v|", row.Cells[i])
		}
	}
	return b.String()
}
